"""The event of an example: from the marks in its source to frames with spans."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import libcst as cst

from homeostasis.errors import RuleError
from homeostasis.models import Event, Frame, Raised, Request, Runtime, Span, Value
from homeostasis.rules.rule import ExampleInput
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import Tree

OPEN, CLOSE = "<<<", ">>>"


def example_event(given: ExampleInput, root: Path, *, columns: bool = True) -> Event:
    """The event of an example, whose files are written below `root`.

    Args:
        given: the example's input.
        root: an empty directory.
        columns: whether the frames know columns, or lines only as in a traceback from a log.

    Raises:
        RuleError: no expression is marked.
    """
    frames: List[Frame] = []
    for caller in given.callers:
        frames += _frames(root, caller.path, caller.code, caller.locals, columns=columns)
    frames += _frames(root, given.path, given.code, given.locals, columns=columns)
    for path, text in given.files.items():
        _write(root, path, text)
    module, _dot, name = given.error.type.rpartition(".")
    known = getattr(builtins, name, None) if not module else None
    bases = known.__mro__[1:-1] if isinstance(known, type) else ()
    raised = Raised(
        type=name,
        module=module or "builtins",
        bases=tuple(base.__name__ for base in bases),
        message=given.error.message,
        frames=tuple(frames),
    )
    return Event(
        id="example",
        timestamp=0.0,
        fingerprint="0" * 16,
        exceptions=(raised,),
        request=_request(given),
        runtime=Runtime(),
    )


def _request(given: ExampleInput) -> Request | None:
    if given.request is None:
        return Request(framework=given.framework) if given.framework is not None else None
    fields = {name: value for name, value in given.request.items() if name != "json"}
    if "json" in given.request:
        fields["body"] = json.dumps(given.request["json"]).encode()
    return Request(framework=given.framework, **fields)


def _frames(root: Path, path: str, marked: str, local: Dict[str, Any], *, columns: bool) -> List[Frame]:
    code, spans = unmarked(marked)
    if not spans:
        raise RuleError(f"the code of {path} marks no expression with {OPEN} and {CLOSE}")
    _write(root, path, code)
    tree = Tree(path, cst.parse_module(code))
    frames = []
    for number, span in enumerate(spans):
        function = tree.function_at(span.line)
        values = {name: example_value(value) for name, value in local.items()} if number == 0 else {}
        frames.append(
            Frame(
                path=str(root / path),
                module=path[: -len(".py")].replace("/", "."),
                function=function.name.value if function is not None else "<module>",
                span=span if columns else Span(line=span.line),
                source_line=code.splitlines()[span.line - 1].strip(),
                in_app=True,
                arguments=tuple(item.name.value for item in parameters(function)) if function is not None else (),
                locals=values,
            )
        )
    return frames[::-1]


def _write(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode("utf-8"))


def unmarked(marked: str) -> Tuple[str, List[Span]]:
    """The source without its marks, and the spans of what was marked.

    Raises:
        RuleError: an opening mark has no closing one.
    """
    code, spans = "", []
    rest = marked
    while OPEN in rest:
        before, _open, rest = rest.partition(OPEN)
        inside, close, rest = rest.partition(CLOSE)
        if not close:
            raise RuleError(f"a {OPEN} has no {CLOSE}")
        code += before
        line, column = _position(code)
        code += inside
        end_line, end_column = _position(code)
        spans.append(Span(line=line, column=column, end_line=end_line, end_column=end_column))
    return code + rest, spans


def _position(text: str) -> Tuple[int, int]:
    return text.count("\n") + 1, len(text) - text.rfind("\n") - 1


def example_value(value: Any) -> Value:
    """A JSON value as the monitoring would capture it."""
    sized = isinstance(value, (str, list, dict))
    return Value(
        type=type(value).__name__,
        repr=repr(value),
        literal=True,
        length=len(value) if sized else None,
        keys=tuple(repr(key) for key in value) if isinstance(value, dict) else None,
    )
