"""Crashes as releases of packages have them: values that are refused elsewhere, and what an upgrade took away."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

from homeostasis.models import Effect, Risk

CORRECT, RECOVER, REFUSE, LOW, HIGH = Effect.CORRECT, Effect.RECOVER, Effect.REFUSE, Risk.LOW, Risk.HIGH
BAD = "class Bad(ValueError):\n    pass\n\n\n"
DATE = (
    BAD
    + "def parse(text):\n    if not text[0].isdigit():\n        raise Bad('no date: {}'.format(text))\n    return text\n"
)
VERSION = (
    "import re\n\nPATTERN = re.compile('[0-9]+')\n\n\ndef parse(text):\n    match = PATTERN.match(text)\n"
    "    if match is None:\n        raise ValueError('%s is no version' % text)\n    return match.group()\n"
)
STEPS = BAD + (
    "class Step:\n    def __init__(self, row):\n        self.row = row\n        self.path = row['path']\n\n"
    "    def value(self):\n        try:\n            return self.row['value']\n        except KeyError:\n"
    "            raise Bad('the step has no value')\n"
)
CASES = {
    "no-value-to-convert": ("def size(text):\n    try:\n        return int(text)\n    except ValueError:\n        return 0\n", "size(None)", "0", CORRECT, LOW),
    "no-number": ("class Bad(Exception):\n    pass\n\n\ndef whole(number):\n    try:\n        return int(number)\n    except (TypeError, ValueError):\n        raise Bad(number)\n", "whole(float('inf'))", "Bad", REFUSE, LOW),
    "no-decimal": ("from decimal import Decimal\n\n\ndef price(text):\n    try:\n        return Decimal(text)\n    except ValueError:\n        return None\n", "price('x')", "None", CORRECT, LOW),
    "handler-of-the-caller": (BAD + "import time\n\n\ndef clock(text):\n    return time.strptime(text, '%H:%M')\n\n\ndef read(text):\n    try:\n        return clock(text)\n    except ValueError:\n        raise Bad(text)\n", "read(5)", "Bad", REFUSE, HIGH),
    "nothing-to-parse": (DATE, "parse('')", "Bad", REFUSE, LOW),
    "none-to-parse": (VERSION, "parse(None)", "ValueError", REFUSE, HIGH),
    "bytes-to-parse": (VERSION, "parse(b'1')", "ValueError", REFUSE, HIGH),
    "no-text-for-a-predicate": ("def is_address(value):\n    groups = value.split('.')\n    if len(groups) != 4:\n        return False\n    return all(each.isdigit() for each in groups)\n", "is_address(5)", "False", RECOVER, HIGH),
    "refused-by-the-caller": (BAD + "def head(text):\n    return text[0]\n\n\ndef parse(text):\n    if head(text) != 'P':\n        raise Bad(text)\n    return text[1:]\n", "parse('')", "Bad", REFUSE, LOW),
    "no-member": (STEPS, "Step({})", "Bad", REFUSE, LOW),
    "superscript": ("def size(text):\n    if text.isdigit():\n        return int(text)\n    return None\n", "size('\\u00b2')", "None", CORRECT, LOW),
    "empty-tuple-in-a-text": (BAD + "def check(value):\n    raise Bad('invalid: %r' % value)\n", "check(())", "Bad", REFUSE, LOW),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_a_crash_is_healed(heal: Any, name: str) -> None:
    """The same call gives the value, or raises the exception, that is right; effect and risk are those of the case."""
    source, call, expected, effect, risk = CASES[name]
    done = heal({"shop.py": source}, f"import shop; shop.{call}")
    shown = f"import shop\ntry:\n    print(shop.{call})\nexcept Exception as error:\n    print(type(error).__name__)\n"
    assert done.after(shown) == expected
    assert (done.best.effect, done.best.risk) == (effect, risk)


LEFT_ALONE = {
    "a-call-that-lacks-an-argument": ("def load(a, b):\n    return a\n\n\ndef f():\n    try:\n        return load(1)\n    except ValueError:\n        return 0\n", "f()", "handler-too-narrow"),
    "a-handler-that-raises-again": ("def f(text):\n    try:\n        return int(text)\n    except ValueError:\n        print('no number')\n        raise\n", "f(None)", "handler-too-narrow"),
    "a-handler-further-down": ("def f(text):\n    try:\n        return len(text)\n    except ValueError:\n        return 0\n    finally:\n        int(text)\n", "f([])", "handler-too-narrow"),
    "a-refusal-of-something-else": ("def words(text, width):\n    if width < 1:\n        raise ValueError('too narrow')\n    return text.split()\n", "words(None, 3)", "argument-refused-elsewhere"),
    "an-argument-that-is-not-passed-on": ("def head(text):\n    return text[0]\n\n\ndef get(rows, name):\n    if rows is None:\n        raise KeyError(rows)\n    return head(name)\n", "get([], '')", "argument-refused-elsewhere"),
    "a-refusal-of-the-code-itself": ("def f(text):\n    if text[0] == 'x':\n        raise NotImplementedError(text)\n    return text\n", "f('')", "argument-refused-elsewhere"),
    "another-dict": (STEPS.replace("row['path']", "table['path']").replace("row)", "row, table={})"), "Step({})", "member-refused-elsewhere"),
    "a-refusal-that-names-no-key": (STEPS.replace("has no value", "is bad"), "Step({})", "member-refused-elsewhere"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(LEFT_ALONE))
def test_what_only_looks_alike_is_left_alone(heal: Any, name: str) -> None:
    """The rule does not match, or makes nothing of it."""
    source, call, rule = LEFT_ALONE[name]
    done = heal({"shop.py": source}, f"import shop; shop.{call}")
    assert [patch.summary for patch in done.patches if patch.rule_id == rule] == []


def test_a_member_that_may_be_missing_is_asked_about(heal: Any) -> None:
    """A file that reads other keys with a default may well have one for this key too."""
    source = STEPS + "\n    def label(self):\n        return self.row.get('label', '')\n"
    done = heal({"shop.py": source}, "import shop; shop.Step({})")
    assert [patch.risk for patch in done.patches if patch.rule_id == "member-refused-elsewhere"] == [HIGH]


@pytest.mark.skipif(sys.version_info < (3, 9), reason="on Python 3.8 importlib.resources has no files")
def test_data_of_a_package_is_read_with_importlib(heal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from a module of the package that names itself, and in the next file that would have failed."""
    files = {
        "shop/__init__.py": "from shop.words import WORDS\nfrom shop.more import HAS\n",
        "shop/words.py": "import pkg_resources\n\nWORDS = pkg_resources.resource_string(__name__, 'words.txt')\n",
        "shop/more.py": "from pkg_resources import resource_exists\n\nHAS = resource_exists('shop', 'words.txt')\n",
        "shop/words.txt": "tea",
    }
    find = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pkg_resources":
            raise ModuleNotFoundError("No module named 'pkg_resources'")
        return find(name, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", missing)
        done = heal(files, "import shop")
    block = "import sys; sys.modules['pkg_resources'] = None\n"
    assert {edit.path for edit in done.best.edits} == {"shop/words.py", "shop/more.py"}
    assert done.after(f"{block}import shop; print(shop.WORDS, shop.HAS)") == "b'tea' True"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="on Python 3.11 entry points still have get")
def test_entry_points_are_selected(heal: Any) -> None:
    """Groups that there are none of are empty, as they were by the default."""
    source = "from importlib.metadata import entry_points\n\n\ndef f(group):\n    return list(entry_points().get(group, []))\n"
    done = heal({"shop.py": source}, "import shop; shop.f('no such group')")
    assert done.after("import shop; print(shop.f('no such group'))") == "[]"


@pytest.mark.skipif(sys.version_info < (3, 10), reason="on Python 3.9 asyncio still takes loop")
def test_all_calls_that_pass_a_loop_are_changed(heal: Any) -> None:
    """The next line would have failed for the same reason."""
    source = "import asyncio\n\n\ndef f():\n    lock = asyncio.Lock(loop=None)\n    return lock, asyncio.Condition(lock, loop=None)\n"
    done = heal({"shop.py": source}, "import shop; shop.f()")
    assert done.best.edits[0].after.decode().count("loop") == 0
    assert done.after("import shop; print(shop.f()[0].locked())") == "False"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="on Python 3.10 asyncio still has coroutine")
def test_tests_that_cannot_be_imported_here_are_left_out(heal: Any) -> None:
    """The tests of a package need what is not installed where it runs; a patch of them could not be checked."""
    files = {
        "shop/__init__.py": "import asyncio\n\n\n@asyncio.coroutine\ndef f():\n    yield from asyncio.sleep(0)\n    return 3\n",
        "shop/tests/test_shop.py": "import asyncio\nimport not_installed\n\n\n@asyncio.coroutine\ndef f():\n    yield from asyncio.sleep(0)\n",
    }
    done = heal(files, "import shop")
    assert [edit.path for edit in done.best.edits] == ["shop/__init__.py"]
    assert done.after("import asyncio, shop; print(asyncio.run(shop.f()))") == "3"
