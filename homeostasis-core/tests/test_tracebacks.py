"""Textual tracebacks become events: of real interpreters, and of hostile text."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from homeostasis.errors import UsageError
from homeostasis.text_frames import find_file, module_name
from homeostasis.traceback_text import MAX_EXCEPTIONS, parse
from homeostasis.tracebacks import event_from_traceback, split_name

CODE = b'''import sys


class CartError(Exception):
    """Ours."""


class Cart:
    def total(self, rows, *, tax=1):
        return sum(row["price"] * tax for row in rows)


def cause():
    try:
        Cart().total([{}])
    except KeyError as error:
        raise CartError("two\\nlines") from error


def context():
    try:
        Cart().total([{}])
    except KeyError:
        {}["z"]


def recursion(n=0):
    return recursion(n + 1)


def syntax():
    compile("a b", "zz.py", "exec")


def note():
    try:
        1 / 0
    except ZeroDivisionError as error:
        error.add_note("while dividing")
        raise


def group():
    found = []
    for work in (cause, note):
        try:
            work()
        except Exception as error:
            found.append(error)
    raise ExceptionGroup("both", [*found, ValueError("bare"), ExceptionGroup("inner", [TypeError("deep")])])


globals()[sys.argv[1]]()
'''


@pytest.fixture
def crash(make_project):
    """The event of what an interpreter printed when a function of CODE crashed."""
    project = make_project('service = "cart"', files={"shop/cart.py": CODE})

    def make(function):
        argv = [sys.executable, "shop/cart.py", function]
        done = subprocess.run(argv, cwd=project.root, capture_output=True, text=True, check=False)
        return event_from_traceback(f"INFO started\n{done.stderr}", project)

    return make


def test_a_chain_names_cause_and_frames(crash):
    """The escaped exception comes first, its cause names it as parent, and frames are completed from the files."""
    event = crash("cause")
    assert (event.source, event.service, len(event.fingerprint)) == ("traceback", "cart", 16)
    assert (event.raised.type, event.raised.module, event.raised.message) == ("CartError", "__main__", "two\nlines")
    cause = event.exceptions[1]
    assert (cause.type, cause.message, cause.relation, cause.parent) == ("KeyError", "'price'", "cause", 0)
    frame = cause.frames[-2]
    assert (frame.qualname, frame.module, frame.in_app) == ("Cart.total", "__main__", True)
    assert frame.arguments == ("self", "rows", "tax")
    assert frame.source_line == 'return sum(row["price"] * tax for row in rows)'
    assert any("no local variables" in loss for loss in event.losses)
    assert event.command.argv == ("python", "shop/cart.py")


def test_columns_are_those_of_the_file(crash):
    """Caret lines of 3.11 and later give the span of the failing expression; older ones give none."""
    span = crash("cause").exceptions[1].frames[-1].span
    if sys.version_info >= (3, 11):
        line = CODE.decode().split("\n")[span.line - 1]
        assert line[span.column : span.end_column] == 'row["price"]'
    else:
        assert (span.column, span.end_column) == (None, None)


def test_a_context_is_told_from_a_cause(crash):
    """An exception during the handling of another keeps that one as context."""
    event = crash("context")
    assert [item.relation for item in event.exceptions] == ["raised", "context"]
    assert event.raised.message == "'z'"


def test_repeated_frames_are_a_loss(crash):
    """A recursion's repeated frames are counted, not expanded."""
    event = crash("recursion")
    assert event.raised.type == "RecursionError"
    assert len(event.raised.frames) < 20
    assert any("repeated frames" in loss for loss in event.losses)


def test_a_syntax_error_has_no_extra_frame(crash):
    """The place of a syntax error is no frame."""
    event = crash("syntax")
    assert event.raised.type == "SyntaxError"
    assert event.raised.frames[-1].function == "syntax"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with 3.11")
def test_notes_are_kept_apart_from_the_message(crash):
    """What follows a built-in exception's line is its notes."""
    event = crash("note")
    assert (event.raised.message, event.raised.notes) == ("division by zero", ("while dividing",))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")
def test_groups_have_members(crash):
    """The group comes first; members name it, nested ones their own group, and chains inside stay chains."""
    event = crash("group")
    found = [(item.type, item.relation, item.parent) for item in event.exceptions]
    assert found == [
        ("ExceptionGroup", "raised", None),
        ("KeyError", "cause", 2),
        ("CartError", "member", 0),
        ("ZeroDivisionError", "member", 0),
        ("ValueError", "member", 0),
        ("ExceptionGroup", "member", 0),
        ("TypeError", "member", 5),
    ]


def test_the_fingerprint_ignores_lines_and_machines(make_project):
    """The same crash with other line numbers and another root has the same fingerprint."""
    project = make_project()
    text = 'Traceback (most recent call last):\n  File "{}/shop.py", line 5, in price\n    return PRICES[name]\nKeyError: {}\n'
    first = event_from_traceback(text.format(project.root, "'milk'"), project)
    (project.root / "shop.py").write_bytes(b"\n\n" + (project.root / "shop.py").read_bytes())
    second = event_from_traceback(text.format("/srv/app", "'cocoa'").replace("line 5", "line 7"), project)
    assert first.fingerprint == second.fingerprint
    assert second.crash_frame.path == str(project.root / "shop.py")
    assert any("happened elsewhere" in loss for loss in second.losses)


def test_a_line_that_changed_since_is_said(make_project):
    """Where the file no longer says what the traceback says, columns and names are not invented."""
    project = make_project()
    text = (
        'Traceback (most recent call last):\n  File "shop.py", line 5, in price\n'
        "    return OLD[name]\n           ~~~^^^^^^\nKeyError: 'x'\n"
    )
    frame = event_from_traceback(text, project).crash_frame
    assert (frame.span.column, frame.qualname, frame.source_line) == (None, None, "return OLD[name]")


def test_log_prefixes_and_later_records_are_left_out(make_project):
    """A constant prefix of each line is taken off, and the log that follows is not part of the message."""
    text = textwrap.dedent(
        """\
        web-1  | Traceback (most recent call last):
        web-1  |   File "x.py", line 1, in <module>
        web-1  | ValueError: no
        web-1  | 2024-01-01 10:00:00 INFO next
        """
    )
    [[found]] = parse(text)
    assert (found.name, found.message, found.rest) == ("ValueError", "no", [])


def test_the_last_of_several_tracebacks_counts(make_project):
    """Of a log with several tracebacks the last one is healed, and the others are named as a loss."""
    one = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n{}: no\n\n'
    event = event_from_traceback(one.format("ValueError") + one.format("TypeError"), make_project())
    assert event.raised.type == "TypeError"
    assert any("1 earlier traceback" in loss for loss in event.losses)


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last):\n", "KeyError: 'x'", "\x00" * 100])
def test_text_without_a_traceback_is_refused(make_project, text):
    """There is no event without a complete traceback."""
    with pytest.raises(UsageError, match="no Python traceback"):
        event_from_traceback(text, make_project())


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):\n" * 20_000 + "E: x",
        "Traceback (most recent call last):\n" + '  File "x", line 1, in f\n    y\n' * 50_000 + "E: x",
        'Traceback (most recent call last):\n  File "x", line 1, in f\n    y\n    ' + "~ ^" * 200_000 + "\nE: x",
        'Traceback (most recent call last):\n  File "x", line 999999999, in f\n' + "E" + ".a" * 500_000 + ": x",
        "  + Exception Group Traceback (most recent call last):\n" + "  | " * 100_000,
        'Traceback (most recent call last):\n  File "x", line 1, in f\nE: ' + "x\n" * 500_000,
    ],
)
def test_hostile_text_is_bounded(make_project, text):
    """Repetition and length do not make an event that is large, nor work that is more than linear."""
    project = make_project()
    for chain in parse(text):
        assert len(chain) <= MAX_EXCEPTIONS
    if parse(text):
        assert len(event_from_traceback(text, project).model_dump_json()) < 2_000_000


@pytest.mark.parametrize(
    "path",
    [
        "../outside.py",
        "/usr/lib/python3.11/shop.py",
        "/etc/passwd",
        "shop.py\0",
        "site-packages/shop.py",
        "/x/../shop.py",
        ".homeostasis/x.py",
    ],
)
def test_paths_stay_inside_the_project(make_project, path):
    """A path of a traceback is believed only if it means a file of the project's own."""
    assert find_file(path, make_project().root) is None


def test_names_are_split_as_tracebacks_print_them():
    """Modules are told from nested classes, and left-out modules are restored."""
    assert split_name("KeyError") == ("builtins", "KeyError")
    assert split_name("CartError") == ("__main__", "CartError")
    assert split_name("shop.errors.CartError.Inner") == ("shop.errors", "CartError.Inner")
    assert split_name("shop.make.<locals>.Oops") == ("shop", "make.<locals>.Oops")
    assert split_name("zlib.error") == ("zlib", "error")
    assert module_name("src/shop/__init__.py") == "shop"
