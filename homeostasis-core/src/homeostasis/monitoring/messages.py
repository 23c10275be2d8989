"""The message and the attributes of an exception."""

from __future__ import annotations

from contextlib import suppress
from types import FunctionType, WrapperDescriptorType
from typing import Any, Callable, List, Tuple

from homeostasis.monitoring.classes import MAX_CLASSES, inherits, mro, type_name
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.values import describe_value, encodable

MAX_MESSAGE = 4096
MAX_ATTRIBUTES = 24
MAX_NOTES = 20
_MESSAGES = ("message", "detail", "description", "reason", "msg")
_PLAIN = frozenset(id(cls) for cls in (str, int, float, bool, bytes, type(None)))

# Read through the descriptors of the built-in classes, which run no code of the app.
_ATTRIBUTES: list[tuple[type[BaseException], tuple[str, ...]]] = [
    (AttributeError, ("name", "obj")),  # both since Python 3.10
    (NameError, ("name",)),  # since Python 3.10
    (ImportError, ("name", "path")),
    (OSError, ("errno", "strerror", "filename")),
    (UnicodeError, ("encoding", "object", "start", "end", "reason")),
    (StopIteration, ("value",)),
    (SyntaxError, ("filename", "lineno", "offset", "text")),
]
_args: Callable[[BaseException], tuple[Any, ...]] = BaseException.__dict__["args"].__get__
_instance: Callable[[BaseException], Any] = BaseException.__dict__["__dict__"].__get__


def message_of(error: BaseException, redactor: Redactor) -> str:
    """The bounded and redacted message.

    A `__str__` is called if it can only put plain data into words; see `homeostasis.monitoring.wordings`. Else the
    message is made of the arguments or, if there are none, is the attribute that most libraries keep it in.
    """
    text = None
    if _may_be_asked(error):
        with suppress(Exception):  # a broken __str__: the arguments tell enough
            text = str(error)
    if type(text) is not str:
        parts = [_text(argument, redactor) for argument in _args(error)]
        text = parts[0] if len(parts) == 1 else f"({', '.join(parts)})" if parts else _told_by_attribute(error)
    return encodable(redactor.text(text[: MAX_MESSAGE * 2])[:MAX_MESSAGE])


def _may_be_asked(error: BaseException) -> bool:
    method = _find(type(error), "__str__")
    if type(method) is WrapperDescriptorType:
        return _is_plain(error)  # a built-in one words the arguments; one of an extension cannot be looked into
    if type(method) is not FunctionType:
        return False
    from homeostasis.monitoring.wordings import may_be_asked

    return may_be_asked(error)


def _told_by_attribute(error: BaseException) -> str:
    values = (own_attribute(error, name) for name in _MESSAGES)
    return next((value for value in values if type(value) is str), "")


def _text(argument: Any, redactor: Redactor) -> str:
    if type(argument) is str:
        return argument
    described = describe_value(argument, redactor)
    return str(described.get("repr") or f"<{'.'.join(type_name(type(argument)))}>")


def _find(cls: type, name: str) -> Any:
    for base in mro(cls):
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _is_plain(error: BaseException) -> bool:
    return all(id(type(argument)) in _PLAIN for argument in _args(error))


def notes_of(error: BaseException, redactor: Redactor) -> list[str]:
    """The notes of PEP 678 that are strings."""
    values = _own(error).get("__notes__")
    if type(values) is not list:
        return []
    return [encodable(redactor.text(note[:MAX_MESSAGE])) for note in values[:MAX_NOTES] if type(note) is str]


def attributes_of(error: BaseException, redactor: Redactor) -> dict[str, Any]:
    """What the exception carries, as described values: `args`, the attributes of its built-in base, its own."""
    found: dict[str, Any] = {}
    arguments = _args(error)
    if arguments:
        found["args"] = describe_value(arguments, redactor)
    is_key_error, descriptors = _readable(type(error))
    if is_key_error and len(arguments) == 1:
        found["key"] = describe_value(arguments[0], redactor)
    for name, descriptor in descriptors:
        found[name] = describe_value(descriptor.__get__(error), redactor, name)
    for name, value in list(_own(error).items()):
        if type(name) is str and not name.startswith("_") and len(found) < MAX_ATTRIBUTES:
            found.setdefault(name, describe_value(value, redactor, name))
    return found


_Readable = Tuple[bool, List[Tuple[str, Any]]]
_known: dict[int, tuple[_Readable, type]] = {}


def _readable(cls: type) -> _Readable:
    """Whether it is a KeyError, and the descriptors of the attributes that its built-in bases have."""
    known = _known.get(id(cls))
    if known is None:
        found = [
            (name, base.__dict__[name])
            for base, names in _ATTRIBUTES
            if inherits(cls, base)
            for name in names
            if name in base.__dict__
        ]
        known = (inherits(cls, KeyError), found), cls
        if len(_known) < MAX_CLASSES:
            _known[id(cls)] = known  # it holds the class, so that the id stays the class's own
    return known[0]


def _own(error: BaseException) -> dict[str, Any]:
    names = _instance(error)
    return names if type(names) is dict else {}


def own_attribute(error: BaseException, name: str) -> Any:
    """An attribute that is plain data of the instance or of one of its classes; None if it is anything else."""
    value = _own(error).get(name)
    return _find(type(error), name) if value is None else value
