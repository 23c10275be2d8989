"""Decides whether an exception's own `__str__` may be called to get the message.

It may if it can only put plain data into words. Then it cannot wait for a lock or a database, loop for ever, recurse or
change anything, whatever it looks like:

- all that the exception carries (its arguments, its attributes and those class attributes that are read) is data of the
  built-in classes, in containers of a moderate size;
- its code, and that of the methods and properties of its class that it uses, has no loop, no assignment outside its own
  local variables, no import, and names no function but the harmless ones below.

Methods of the standard library need not be looked at, only what they work on.
"""

# ruff: noqa: SIM905 - as lists, the names below would take pages
from __future__ import annotations

import opcode
import os
import sys
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, Callable, Iterator

from homeostasis.monitoring.classes import mro

MAX_ITEMS = 200
"""Items, of all containers together, that the data may have."""
MAX_CHARACTERS = 100_000
"""Length of each of its strings."""
MAX_DEPTH = 3
"""Methods that call one another."""

_FUNCTIONS = frozenset(
    "str repr len int float bool super type sorted min max sum abs round isinstance "
    "list tuple dict set ascii hex".split()
)
_METHODS = frozenset(
    "format join get items keys values upper lower title capitalize strip lstrip rstrip replace split splitlines "
    "startswith endswith decode encode count index copy".split()
)
_OVERRIDES = ("__getattribute__", "__getattr__", "__class__", "__repr__")
_OF_EVERY_CLASS = ("__class__", "__name__", "__qualname__", "__str__", "__repr__")  # all of `__str__` is looked at
_ALLOWED = ("LOAD_", "BUILD_", "FORMAT_", "RETURN_", "CALL_FUNCTION", "CALL_METHOD", "JUMP_IF_", "POP_JUMP_", "ROT_")
_ALSO_ALLOWED = frozenset(
    "BINARY_ADD BINARY_MODULO BINARY_OP BINARY_SUBSCR BINARY_SLICE CALL CALL_KW COMPARE_OP CONTAINS_OP CONVERT_VALUE "
    "COPY COPY_FREE_VARS DUP_TOP DUP_TOP_TWO INPLACE_ADD IS_OP JUMP_FORWARD KW_NAMES LIST_APPEND LIST_EXTEND "
    "LIST_TO_TUPLE NOP NOT_TAKEN POP_TOP PRECALL PUSH_NULL RESUME STORE_FAST STORE_FAST_LOAD_FAST "
    "STORE_FAST_STORE_FAST SWAP TO_BOOL UNARY_NEGATIVE UNARY_NOT".split()
)
_FORBIDDEN = ("LOAD_BUILD_CLASS", "LOAD_ASSERTION_ERROR", "LOAD_NAME")
_OTHER_KINDS = 0x2AC  # flags of functions with *args or **kwargs, and of generators and coroutines
_ABSOLUTE_JUMPS = frozenset(opcode.hasjabs)
_UNIT = 2 if sys.version_info >= (3, 10) else 1  # bytes that the targets of jumps count in
_OPERATORS = (0, 6, 13, 26)  # +, %, += and, from Python 3.14, subscripts: the arguments of BINARY_OP
# By identity: a metaclass of the app may define how its classes compare and hash.
_ATOMS = frozenset(id(cls) for cls in (str, bytes, int, float, bool, complex, type(None)))
_SEQUENCES = frozenset(id(cls) for cls in (list, tuple, set, frozenset))
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_STDLIB = os.path.dirname(os.__file__) + os.sep

_args: Callable[[BaseException], Any] = BaseException.__dict__["args"].__get__
_instance: Callable[[BaseException], Any] = BaseException.__dict__["__dict__"].__get__
_flags: Callable[[type], int] = type.__dict__["__flags__"].__get__


def may_be_asked(error: BaseException) -> bool:
    """Whether calling `str` with the exception does no more than put plain data into words."""
    cls = type(error)
    own = [base for base in mro(cls) if not _is_built_in(base)]
    if type(cls) is not type or any(name in base.__dict__ for base in own for name in _OVERRIDES):
        return False
    instance = _instance(error)
    budget = [MAX_ITEMS]
    if type(instance) is not dict or not _is_plain(_args(error), budget) or not _is_plain(instance, budget):
        return False
    methods = [base.__dict__["__str__"] for base in own if "__str__" in base.__dict__]
    return all(_only_words(method, error, 0) for method in methods)


def _is_plain(value: Any, budget: list[int]) -> bool:
    """Whether a value is data of the built-in classes themselves, and there is not too much of it."""
    budget[0] -= 1
    cls = type(value)
    if budget[0] < 0:
        return False
    if id(cls) in _ATOMS:
        return cls not in (str, bytes) or len(value) <= MAX_CHARACTERS
    if cls is dict:
        return all(_is_plain(key, budget) and _is_plain(item, budget) for key, item in list(value.items()))
    return id(cls) in _SEQUENCES and all(_is_plain(item, budget) for item in list(value))


def _is_built_in(cls: type) -> bool:
    """Whether the class was not made by a `class` statement, whatever it calls its module."""
    return not _flags(cls) & _HEAP_TYPE


def _only_words(method: Any, error: BaseException, depth: int) -> bool:
    if type(method) is property:
        method = method.fget
    if type(method) is not FunctionType or depth >= MAX_DEPTH:
        return False
    code = method.__code__
    if _is_of_the_standard_library(code):
        return all(_is_harmless_attribute(name, error, depth) is not False for name in code.co_names)
    if code.co_argcount != 1 or code.co_kwonlyargcount or code.co_flags & _OTHER_KINDS:
        return False
    if code.co_cellvars or set(code.co_freevars) - {"__class__"} or not _goes_straight_on(code):
        return False
    return all(_is_harmless(name, method, error, depth) for name in code.co_names)


def _is_of_the_standard_library(code: CodeType) -> bool:
    file = code.co_filename
    return file.startswith(("<frozen ", _STDLIB)) and f"{os.sep}site-packages{os.sep}" not in file


def _is_harmless(name: str, method: FunctionType, error: BaseException, depth: int) -> bool:
    """Whether a name in the code stands, wherever it is looked up, for plain data or a function that runs nothing."""
    if name in method.__globals__:
        if not _is_plain(method.__globals__[name], [MAX_ITEMS]):
            return False
    elif name not in _METHODS and name not in _FUNCTIONS:
        return bool(_is_harmless_attribute(name, error, depth))
    return _is_harmless_attribute(name, error, depth) is not False


def _is_harmless_attribute(name: str, error: BaseException, depth: int) -> bool | None:
    """Whether reading an attribute of the exception, and calling it, runs nothing; None if it has none of this name."""
    if name in _instance(error) or name in _OF_EVERY_CLASS:
        return True
    for base in mro(type(error)):
        if name in base.__dict__:
            value = base.__dict__[name]
            kind = type(value)
            if _is_built_in(base) and (kind is GetSetDescriptorType or kind is MemberDescriptorType):
                return _is_plain(value.__get__(error), [MAX_ITEMS])
            return _is_plain(value, [MAX_ITEMS]) or _only_words(value, error, depth + 1)
    return None


def _goes_straight_on(code: CodeType) -> bool:
    """Whether the code only reads and computes, never jumps back, and uses the exception for its attributes only.

    An exception that is put into words as a whole would ask its own `__str__` again.
    """
    steps = list(_steps(code))
    for position, (offset, operation, name, argument) in enumerate(steps):
        if name in _FORBIDDEN or "BACKWARD" in name or (operation in _ABSOLUTE_JUMPS and argument * _UNIT <= offset):
            return False
        if name == "BINARY_OP" and argument not in _OPERATORS:
            return False
        if not name.startswith(_ALLOWED) and name not in _ALSO_ALLOWED:
            return False
        if _takes_self(name, argument) and not _is_for_an_attribute(code, steps, position):
            return False
    return True


def _steps(code: CodeType) -> Iterator[tuple[int, int, str, int]]:
    """Offset, number, name and argument of each instruction."""
    extended = 0
    for offset in range(0, len(code.co_code), 2):
        operation, argument = code.co_code[offset], code.co_code[offset + 1] | extended
        name = opcode.opname[operation]
        extended = argument << 8 if name == "EXTENDED_ARG" else 0
        if name not in ("CACHE", "EXTENDED_ARG"):
            yield offset, operation, name, argument


def _takes_self(name: str, argument: int) -> bool:
    if name in ("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"):
        return argument >> 4 == 0 or argument & 15 == 0
    return name.startswith("LOAD_FAST") and argument == 0


def _is_for_an_attribute(code: CodeType, steps: list[tuple[int, int, str, int]], position: int) -> bool:
    """Whether the exception is loaded for one of its attributes, for `super()`, or for `type(self)`."""
    _, _, name, argument = steps[position + 1]
    if name in ("LOAD_SUPER_ATTR", "LOAD_SUPER_METHOD"):
        return True
    if name in ("LOAD_ATTR", "LOAD_METHOD"):
        index = argument >> 1 if name == "LOAD_ATTR" and sys.version_info >= (3, 12) else argument
        return code.co_names[index] not in ("__str__", "__repr__")
    _, _, before, global_ = steps[position - 1]
    index = global_ >> 1 if sys.version_info >= (3, 11) else global_
    return before == "LOAD_GLOBAL" and code.co_names[index] == "type"
