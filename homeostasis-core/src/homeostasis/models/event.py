"""`Event`: one occurrence of an exception, as it was captured in the app or read from a log."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from homeostasis.models.base import Model


class Value(Model):
    """A local variable or attribute, described without running any code of the app.

    `repr` is bounded and redacted. When `literal` is true it is complete and `ast.literal_eval` reads it back.
    """

    type: str = Field(description="Qualified name of the class without its module, such as `dict` or `Order`.")
    module: str = Field(default="builtins", description="Module of the class.")
    repr: str | None = Field(default=None, description="Bounded, redacted text; None if it could not be had safely.")
    literal: bool = Field(default=False, description="`repr` is complete and reads back with `ast.literal_eval`.")
    length: int | None = Field(default=None, description="`len()` of a built-in container, string or bytes.")
    keys: tuple[str, ...] | None = Field(default=None, description="The first keys of a dict, as reprs.")
    shape: tuple[int, ...] | None = Field(default=None, description="Lengths of the dimensions of an array.")
    dtype: str | None = Field(default=None, description="Type code of the items of an array, such as `<f8`.")
    redacted: bool = Field(default=False, description="A secret was taken out of this value.")
    attributes: dict[str, Value] = Field(
        default_factory=dict, description="What an object of the failing expression holds itself, by attribute."
    )

    @property
    def is_none(self) -> bool:
        """Whether the value is None."""
        return self.type == "NoneType"


class Span(Model):
    """The failing expression: lines are counted from 1, columns are characters counted from 0, the end is exclusive.

    Columns are None where the source of the event knows lines only.
    """

    line: int
    end_line: int | None = None
    column: int | None = None
    end_column: int | None = None


class Frame(Model):
    """One frame of a traceback."""

    path: str = Field(description="File name as the interpreter knew it, usually absolute.")
    module: str | None = Field(default=None, description="`__name__` of the frame's globals.")
    function: str = Field(description="Name of the code object, such as `handle` or `<module>`.")
    qualname: str | None = Field(default=None, description="Qualified name, such as `Cart.total`.")
    first_line: int | None = Field(default=None, description="Line on which the code object starts.")
    span: Span
    source_line: str | None = Field(default=None, description="The text of `span.line`, stripped.")
    in_app: bool = Field(default=False, description="The file belongs to the app, not to a library.")
    arguments: tuple[str, ...] = Field(default=(), description="Names of the parameters, in order, without stars.")
    locals: dict[str, Value] = Field(default_factory=dict)


class Raised(Model):
    """One exception of the chain, with its traceback, oldest frame first."""

    type: str = Field(description="Qualified name of the class without its module.")
    module: str = "builtins"
    bases: tuple[str, ...] = Field(default=(), description="Dotted names of the base classes, nearest first.")
    message: str = ""
    notes: tuple[str, ...] = ()
    attributes: dict[str, Value] = Field(default_factory=dict, description="Such as `name` and `obj`.")
    frames: tuple[Frame, ...] = ()
    relation: Literal["raised", "cause", "context", "member"] = Field(
        default="raised", description="How it belongs to `parent`: `member` is one of an exception group."
    )
    parent: int | None = Field(default=None, description="Index into `Event.exceptions`.")
    suppressed: bool = Field(default=False, description="A context that `raise ... from` hides.")

    @property
    def dotted(self) -> str:
        """`module.Type`, or just the type for a built-in."""
        return self.type if self.module in ("builtins", "") else f"{self.module}.{self.type}"


class Request(Model):
    """An HTTP request, complete enough to be sent again, and what was answered."""

    method: str = "GET"
    path: str = Field(default="/", description="Decoded path, without the query.")
    query: str = Field(default="", description="Raw query string, without the question mark.")
    route: str | None = Field(default=None, description="Pattern of the route, such as `/orders/{id}`.")
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    body_truncated: bool = False
    scheme: str = "http"
    host: str = "localhost"
    interface: Literal["wsgi", "asgi"] = "wsgi"
    framework: str | None = Field(default=None, description="Such as `flask` or `fastapi`.")
    status: int | None = Field(default=None, description="Status code that was answered.")


class Command(Model):
    """A command line that crashed."""

    argv: tuple[str, ...]
    cwd: str | None = Field(default=None, description="Relative to the project root; None means the root.")


class Runtime(Model):
    """The process in which the exception was raised."""

    python: str | None = Field(default=None, description="Version, such as `3.11.7`.")
    executable: str | None = None
    pid: int | None = None
    thread: str | None = None
    cwd: str | None = None
    argv: tuple[str, ...] = ()
    host: str | None = None
    frameworks: dict[str, str] = Field(default_factory=dict, description="Distribution to version.")
    app: str | None = Field(default=None, description="Import path of the app, such as `shop:create_app()`.")


class Breadcrumb(Model):
    """Something that the app did before the exception, as an error tracker remembers it."""

    at: float | None = Field(default=None, description="Seconds since the epoch, UTC.")
    category: str = Field(default="", description="Such as `query`, `http` or the name of a logger.")
    level: str = ""
    message: str = Field(default="", description="Bounded and redacted.")


class Event(Model):
    """One occurrence of an exception.

    `exceptions[0]` is the exception that escaped; its causes, contexts and members follow and name their parent.
    """

    id: str
    timestamp: float = Field(description="Seconds since the epoch, UTC.")
    service: str = "app"
    fingerprint: str = Field(description="Groups occurrences of one crash; see `homeostasis.monitoring.fingerprint`.")
    exceptions: tuple[Raised, ...] = Field(min_length=1)
    request: Request | None = None
    command: Command | None = None
    runtime: Runtime = Field(default_factory=Runtime)
    trace_id: str | None = None
    span_id: str | None = None
    source: str = Field(default="monitoring", description="Where it came from: `monitoring`, `traceback`, ...")
    handled: bool = Field(default=False, description="The app caught it itself and answered with an error.")
    breadcrumbs: tuple[Breadcrumb, ...] = Field(
        default=(), description="What happened before, oldest first, where the source tells it."
    )
    losses: tuple[str, ...] = Field(default=(), description="What could not be captured, a phrase each.")

    @property
    def raised(self) -> Raised:
        """The exception that escaped."""
        return self.exceptions[0]

    @property
    def crash_frame(self) -> Frame | None:
        """The innermost frame of the app, or the innermost frame if none is known to be the app's."""
        frames = self.raised.frames
        mine = [frame for frame in frames if frame.in_app]
        return mine[-1] if mine else frames[-1] if frames else None
