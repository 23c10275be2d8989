"""Writes the file of a regression test.

Nothing that was recorded becomes code: values are written as literals, and names only if they are identifiers.
"""

from __future__ import annotations

import ast
import keyword
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from homeostasis.command_capture import PYTHON_NAME
from homeostasis.monitoring.redaction import REDACTED
from homeostasis.regression.literals import NoLiteral, literal
from homeostasis.regression.requests import Unwritable, request_lines
from homeostasis.regression.subject import plain

if TYPE_CHECKING:
    from homeostasis.regression.subject import Subject

__all__ = ["Style", "Unwritable", "render"]

MAX_LENGTH = 12_000
"""Characters of a test that anybody would still read."""


class Style(NamedTuple):
    """How a test is written: with which fixtures, with which headers, what it asserts, and whether in a `TestCase`."""

    fixtures: dict[str, str]
    all_headers: bool
    exact: bool
    unittest: bool = False


class Body(NamedTuple):
    """The parts of a test."""

    imports: list[str]
    name: str
    arguments: str
    lines: list[str]
    what: str


def render(subject: Subject, style: Style) -> str:
    """The whole file.

    Raises:
        Unwritable: it cannot be written, with the reason in a phrase.
    """
    try:
        if subject.request is not None:
            body = _request(subject, style)
        elif subject.command is not None:
            body = _command(subject)
        else:
            body = _call(subject)
    except NoLiteral as error:
        raise Unwritable(f"a recorded value has no literal: {error}") from error
    where = f" in {subject.place}" if subject.place else ""
    function = [
        f"def {body.name}({body.arguments}):",
        f'    """{body.what} raised {subject.error}{where}."""',
        *(f"    {line}" if line else "" for line in body.lines),
    ]
    if style.unittest:
        body.imports.append("import unittest")
        function = _in_test_case(body, function)
    test = [
        f'"""Written by homeostasis for incident {subject.incident_id}, mended by {subject.rule_id}."""',
        "",
        *_sorted(body.imports),
        *(["", ""] if body.imports else [""]),
        *function,
    ]
    text = "\n".join(test) + "\n"
    if len(text) > MAX_LENGTH:
        raise Unwritable(f"it would be {len(text)} characters long")
    ast.parse(text)
    return text


def _sorted(imports: list[str]) -> list[str]:
    """The standard library first, then the rest, as isort does."""
    standard = sorted(line for line in imports if line.split()[1].partition(".")[0] in _STANDARD)
    rest = sorted(line for line in imports if line not in standard)
    return [*standard, *([""] if standard and rest else []), *rest]


_STANDARD = ("asyncio", "io", "subprocess", "sys", "pathlib", "unittest", "wsgiref")
_ASSERTIONS = {ast.Eq: "assertEqual", ast.Lt: "assertLess", ast.Is: "assertIs"}


def _in_test_case(body: Body, function: list[str]) -> list[str]:
    """The same test as the method of a `unittest.TestCase`."""
    head = f"def {body.name}(self):"
    lines = [head, function[1], *(_assertion(line) for line in function[2:])]
    # Line ends within a line belong to brackets: literals hold none.
    return ["class RegressionTest(unittest.TestCase):", *("    " + line.replace("\n", "\n    ") for line in lines)]


def _assertion(line: str) -> str:
    """A line with `assert A == B, MESSAGE` as a call of `assertEqual`; any other as it is."""
    if not line.startswith("    assert "):
        return line
    code = line[4:]
    node = ast.parse(code).body[0]
    if not isinstance(node, ast.Assert) or not isinstance(node.test, ast.Compare):
        return line
    parts = [node.test.left, *node.test.comparators, *([node.msg] if node.msg is not None else [])]
    words = [ast.get_source_segment(code, part) or "" for part in parts]
    return f"    self.{_ASSERTIONS[type(node.test.ops[0])]}({', '.join(words)})"


def _request(subject: Subject, style: Style) -> Body:
    written = request_lines(subject, style.fixtures, all_headers=style.all_headers)
    exact = style.exact and subject.status is not None
    lines = [*written.lines, f"assert {written.status} {f'== {subject.status}' if exact else '< 500'}"]
    return Body(written.imports, _name(written.what, subject.error), written.fixture, lines, written.what)


def _command(subject: Subject) -> Body:
    command = subject.command
    argv = command.argv if command is not None else ()
    if any(subject.redactor.text(word) != word or REDACTED in word for word in argv):
        raise Unwritable("the command line holds a secret")
    first = PurePosixPath(argv[0]).name
    words = [literal(word) for word in argv[1:]]
    head = "sys.executable" if PYTHON_NAME.match(first) else literal(argv[0])
    if any(word.startswith("/") for word in argv[1:]):
        raise Unwritable("the command line names files by absolute paths")
    cwd = (command.cwd if command is not None else None) or "."
    where = "" if cwd == "." else f", cwd={literal(cwd)}"
    lines = [
        f"done = subprocess.run([{', '.join([head, *words])}], capture_output=True, text=True{where})",
        f"assert done.returncode == {subject.status or 0}, done.stderr",
    ]
    imports = ["import subprocess", *(["import sys"] if head == "sys.executable" else [])]
    shown = " ".join([first, *(word for word in argv[1:] if re.fullmatch(r"[\w./=-]+", word))])
    return Body(imports, _name(shown, subject.error), "", lines, plain(shown)[:80])


def _call(subject: Subject) -> Body:
    frame = subject.frame
    if frame is None or frame.module is None or not is_dotted(frame.module):
        raise Unwritable("the function cannot be imported")
    function = frame.qualname or frame.function
    if not is_dotted(function) or "." in function:
        raise Unwritable("only functions at the top of a module are called in a test")
    arguments = [literal(_value(name, subject)) for name in frame.arguments if name in frame.locals]
    call = f"{function}({', '.join(arguments)})"
    imports = [f"from {frame.module} import {function}"]
    if subject.kind == "coroutine":
        imports, call = ["import asyncio", *imports], f"asyncio.run({call})"
    elif subject.kind == "generator":
        call = f"list({call})"
    lines = [call if subject.returned is None else f"assert {call} == {literal(ast.literal_eval(subject.returned))}"]
    if subject.returned is None:
        lines = [f"{call}  # raised before the patch"]
    elif subject.returned in ("None", "True", "False"):
        lines = [f"assert {call} is {subject.returned}"]
    return Body(imports, _name(function, subject.error), "", lines, function)


def _value(name: str, subject: Subject) -> object:
    value = subject.frame.locals[name] if subject.frame is not None else None
    if value is None or value.repr is None or not value.literal or value.redacted:
        raise Unwritable(f"argument {name!r} is a secret or has no literal")
    if subject.redactor.is_secret(name) or subject.redactor.text(value.repr) != value.repr:
        raise Unwritable(f"argument {name!r} holds a secret")
    return ast.literal_eval(value.repr)


def is_dotted(name: str) -> bool:
    """Whether a name is made of identifiers and dots only."""
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in name.split("."))


def _name(what: str, error: str) -> str:
    spoken = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", error).lower()
    words = re.sub(r"[^a-z0-9]+", "_", f"{what}_no_longer_raises_{spoken}".lower()).strip("_")
    return f"test_{words}"[:100].rstrip("_")
