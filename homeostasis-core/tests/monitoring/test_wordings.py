"""Messages of exceptions whose `__str__` is written in Python: it is called only if it cannot do any harm."""

from __future__ import annotations

import subprocess
import textwrap
import urllib.error
from pathlib import Path
from typing import Any

import pytest

import homeostasis
from homeostasis.monitoring.messages import message_of
from homeostasis.monitoring.redaction import Redactor

# Name: code of `__str__`, message, and what else the class has.
CALLED = {
    "f-string": ("return f'order {self.number!r}: {self.reason:>4}'", "order 7:   no", ""),
    "percent": ("return 'order %d %s' % (self.number, self.reason)", "order 7 no", ""),
    "format": ("return '{}: {r}'.format(self.number, r=self.reason)", "7: no", ""),
    "sum": ("return 'order ' + str(self.number)", "order 7", ""),
    "branches": ("if self.number and len(self.reason) > 1:\n    return self.reason.upper()\nreturn ''", "NO", ""),
    "local": ("parts = [self.reason]\nparts += ['x']\nreturn ', '.join(parts)", "no, x", ""),
    "super": ("return 'E' + super().__str__()", "E(7, 'no')", ""),
    "arguments": ("return self.args[1]", "no", ""),
    "class name": ("return type(self).__name__ + self.__class__.__name__", "EE", ""),
    "property": ("return self.text", "no", "@property\ndef text(self):\n    return self.reason\n"),
    "method": ("return self.text()", "no", "def text(self):\n    return self.reason\n"),
    "constant": ("return f'{LABEL}{self.label}'", "labelL", "label = 'L'\n"),
}
# Name: code of `__str__`, and what else the class has.
NOT_CALLED = {
    "endless": ("while True:\n    pass", ""),
    "endless while": ("while self.number:\n    pass\nreturn ''", ""),
    "do while": ("n = 1\nwhile n:\n    n = self.number\nreturn ''", ""),
    "waiting": ("lock.acquire()\nreturn ''", ""),
    "long loop": ("for n in range(10**9):\n    pass", ""),
    "recursing": ("return str(self)", ""),
    "recursing by format": ("return f'{self}'", ""),
    "recursing by percent": ("return '%s' % self", ""),
    "recursing by name": ("return self.__str__()", ""),
    "recursing by a local": ("me = self\nreturn str(me)", ""),
    "recursing through another": ("return self.text()", "def text(self):\n    return self.__str__()\n"),
    "recursing in a circle": ("return self.text()", "def text(self):\n    return self.text()\n"),
    "writing an attribute": ("self.number = effects\nreturn ''", ""),
    "writing a global": ("global LABEL\nLABEL = 1\nreturn ''", ""),
    "side effect": ("effects.append(1)\nreturn ''", ""),
    "side effect on the class": ("self.effects.append(called)\nreturn ''", "effects = effects\n"),
    "side effect by name": ("self.reason.append(1)\nreturn ''", ""),
    "function of the app": ("return slow()", ""),
    "printing": ("print('x')\nreturn ''", ""),
    "opening": ("return open('/etc/hostname').read()", ""),
    "importing": ("import this\nreturn ''", ""),
    "huge": ("return '-' * 10**12", ""),
    "huge power": ("return str(self.number ** self.number ** 9)", ""),
    "comprehension": ("return ''.join(c for c in self.reason)", ""),
    "generator": ("yield ''", ""),
    "hostile getattr": ("return self.x", "def __getattr__(self, name):\n    return slow()\n"),
    "hostile repr": ("return super().__repr__()", "def __repr__(self):\n    return slow()\n"),
    "hostile property": ("return self.text", "@property\ndef text(self):\n    return slow()\n"),
    "hostile descriptor": ("return self.text", "text = Callable()\n"),
    "no function": ("", "__str__ = Callable()\n"),
    "pretending to be built in": (
        "return self.x",
        "__module__ = 'builtins'\ndef __getattr__(self, name):\n    return slow()\n",
    ),
}
MODULE = """
import threading
LABEL, effects, lock, called = 'label', [], threading.Lock(), []
lock.acquire()

def slow():
    called.append(1)
    while True:
        pass

class Callable:
    def __call__(self):
        return slow()
    def __get__(self, *_):
        return self

class E(Exception):
    def __init__(self, number, reason):
        super().__init__(number, reason)
        self.number = number
        self.reason = reason
"""


def source_of(code: str, rest: str) -> str:
    method = "def __str__(self):\n" + textwrap.indent(code, "    ") if code else ""
    return MODULE + textwrap.indent(f"{rest}{method}\n", "    ")


def made(load: Any, code: str, rest: str) -> tuple[Any, dict[str, Any]]:
    names = load("shop", source_of(code, rest))
    return names["E"], names


@pytest.mark.parametrize("name", CALLED)
def test_words_of_plain_data(load: Any, name: str) -> None:
    """A `__str__` that puts attributes, arguments and constants into words gives the message."""
    code, message, rest = CALLED[name]
    error, _ = made(load, code, rest)
    assert message_of(error(7, "no"), Redactor()) == message


@pytest.mark.parametrize("name", NOT_CALLED)
def test_code_that_might_do_harm(load: Any, name: str) -> None:
    """A `__str__` that may hang, recurse or change something is not run: the arguments tell."""
    error, names = made(load, *NOT_CALLED[name])
    assert message_of(error(7, "no"), Redactor()) == "(7, no)"
    assert (names["effects"], names["called"], names["LABEL"]) == ([], [], "label")


@pytest.mark.parametrize("name", CALLED)
def test_data_that_might_do_harm(load: Any, name: str) -> None:
    """No `__str__` is called with an attribute of a class of the app, whose own methods it would run."""
    code, _, rest = CALLED[name]
    error, _ = made(load, code, rest)
    hostile = load("other", "class Reason(str):\n    def __format__(self, spec):\n        raise SystemExit\n")[
        "Reason"
    ]("no")
    assert message_of(error(7, hostile), Redactor()).startswith("(7, ")
    assert message_of(error(7, [[hostile]]), Redactor()).startswith("(7, ")
    unequal = load(
        "another",
        "def refuse(*_):\n    raise SystemExit\nclass Meta(type):\n    __eq__ = __instancecheck__ = refuse\n"
        "    __hash__ = type.__hash__\nclass Reason(metaclass=Meta):\n    __class__ = property(refuse)\n",
    )["Reason"]()
    assert message_of(error(7, unequal), Redactor()) == "(7, <another.Reason>)"
    loop: list[Any] = []
    loop.append(loop)
    assert message_of(error(7, loop), Redactor()).startswith("(7, ")


def test_the_standard_library(load: Any) -> None:
    """Its exceptions word themselves, unless a subclass of the app has changed what they read."""
    failed = subprocess.CalledProcessError(3, ["ls", "x"])
    assert message_of(failed, Redactor()) == "Command '['ls', 'x']' returned non-zero exit status 3."
    assert message_of(urllib.error.URLError("gone"), Redactor()) == "<urlopen error gone>"
    changed = load(
        "shop",
        "import urllib.error\nclass E(urllib.error.URLError):\n    def __init__(self):\n        self.args = ('a',)\n"
        "    @property\n    def reason(self):\n        while True: pass\n",
    )["E"]
    assert message_of(changed(), Redactor()) == "a"


def test_messages_that_are_no_arguments(load: Any) -> None:
    """Where neither `__str__` nor an argument tells, the usual attributes do."""
    error = load(
        "shop",
        "class E(Exception):\n    def __init__(self):\n        super().__init__()\n        self.detail = 'here'\n"
        "        self.owner = object()\n    def __str__(self):\n        return self.owner.name\n",
    )["E"]
    assert message_of(error(), Redactor()) == "here"


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_other_interpreters(version: str, project: Path) -> None:
    """What is called does not depend on the version of Python, of those that pyenv has here."""
    pythons = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    if not pythons:
        pytest.skip(f"pyenv has nothing to run this with on Python {version}")
    called = {name: source_of(code, rest) for name, (code, _, rest) in CALLED.items()}
    others = {name: source_of(*parts) for name, parts in NOT_CALLED.items() if parts[0]}
    (project / "check.py").write_text(
        f"called, others = {called!r}, {others!r}\n"
        "from homeostasis.monitoring.wordings import may_be_asked\n"
        "def asked(source):\n"
        "    names = {'__name__': 'shop'}\n"
        "    exec(source, names)\n"
        "    return may_be_asked(names['E'](7, 'no'))\n"
        "print([name for name in called if not asked(called[name])] + [name for name in others if asked(others[name])])\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [pythons[-1], "check.py"],
        cwd=project,
        env={"PYTHONPATH": str(Path(homeostasis.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
