"""Which process of which service tells something: the resource of OTLP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, NamedTuple, Optional, Tuple

from homeostasis.collecting.crash import MAX_FIELD
from homeostasis.models import Runtime
from homeostasis_collect_otlp.attributes import Attributes, number, read, text

if TYPE_CHECKING:
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

    from homeostasis.monitoring.redaction import Redactor

_WANTED = frozenset(
    (
        "service.name",
        "service.namespace",
        "service.instance.id",
        "service.version",
        "vcs.ref.head.revision",
        "vcs.repository.ref.revision",
        "deployment.id",
        "host.name",
        "k8s.pod.name",
        "container.id",
        "process.pid",
        "process.executable.path",
        "process.command_args",
        "process.working_directory",
        "process.runtime.version",
        "telemetry.sdk.language",
    )
)
_MAX_ARGUMENTS = 50
MAX_ORIGINS, _LONGEST_KEPT = 1_000, 16_384
"""Resources that are remembered, and their length in bytes: a process sends the same bytes each time."""


class Origin(NamedTuple):
    """What a resource says.

    Attributes:
        service: its name, or None if the sender has none.
        revision: commit or version of the code that ran, or None.
        runtime: the process.
        language: of the SDK, such as `python`; None if it is not told.
        instance: tells processes of one service apart, as far as the resource does.
    """

    service: Optional[str]
    revision: Optional[str]
    runtime: Runtime
    language: Optional[str]
    instance: Tuple[object, ...]

    @property
    def peers(self) -> Tuple[object, ...]:
        """Whose records of one trace belong together: the service's, since the providers of one process may have
        different resources; of a sender without a name, the process's.
        """
        return self.instance if self.service is None else self.instance[:2]

    @property
    def foreign(self) -> bool:
        """Whether it is a program in another language."""
        return self.language not in (None, "python")


class Origins:
    """Reads resources, each once.

    Args:
        redactor: takes secrets out of arguments of the process.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._known: Dict[bytes, Origin] = {}

    def of(self, resource: Resource) -> Origin:
        """The origin that a resource stands for."""
        key = resource.SerializeToString()
        found = self._known.get(key)
        if found is None:
            found = _read(read(resource.attributes, _WANTED), self._redactor)
            if len(key) <= _LONGEST_KEPT:
                if len(self._known) >= MAX_ORIGINS:
                    self._known.clear()
                self._known[key] = found
        return found


def _read(found: Attributes, redactor: Redactor) -> Origin:
    service = _short(text(found, "service.name"))
    if service is not None and service.startswith("unknown_service"):
        service = None  # what SDKs say when nobody gave a name
    host = _short(text(found, "host.name", "k8s.pod.name", "container.id"))
    pid = number(found, "process.pid")
    runtime = Runtime(
        python=_short(text(found, "process.runtime.version")),
        executable=_short(text(found, "process.executable.path")),
        pid=pid if pid is not None and 0 < pid < 1 << 31 else None,
        host=host,
        cwd=_short(text(found, "process.working_directory")),
        argv=tuple(map(redactor.text, _arguments(found))),
    )
    return Origin(
        service=service,
        revision=_short(
            text(found, "vcs.ref.head.revision", "vcs.repository.ref.revision", "service.version", "deployment.id")
        ),
        runtime=runtime,
        language=_short(text(found, "telemetry.sdk.language")),
        instance=(
            service,
            _short(text(found, "service.namespace")),
            _short(text(found, "service.instance.id")),
            host,
            pid,
        ),
    )


def _arguments(found: Attributes) -> Tuple[str, ...]:
    value = found.get("process.command_args")
    return tuple(item[:MAX_FIELD] for item in value[:_MAX_ARGUMENTS]) if isinstance(value, list) else ()


def _short(value: Optional[str]) -> Optional[str]:
    return None if value is None else value[:MAX_FIELD]
