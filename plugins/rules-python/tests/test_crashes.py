"""Crashes without a web framework: run, heal, run again."""

from __future__ import annotations

from typing import Any

import pytest

from homeostasis.models import Effect

CASES = {
    "counter": ("def f(words):\n    n = {}\n    for w in words:\n        n[w] += 1\n    return n\n", "f('aab')", "{'a': 2, 'b': 1}", Effect.CORRECT),
    "collection": ("def f(rows):\n    g = {}\n    for r in rows:\n        g[r % 2].append(r)\n    return g\n", "f([1, 2, 3])", "{1: [1, 3], 0: [2]}", Effect.CORRECT),
    "neutral-sum": ("def f(rows):\n    return sum(r['n'] for r in rows)\n", "f([{'n': 2}, {}])", "2", Effect.RECOVER),
    "mutated": ("def f(d):\n    for k in d:\n        d.pop(k)\n    return d\n", "f({1: 2, 3: 4})", "{}", Effect.CORRECT),
    "average": ("def f(v):\n    return sum(v) / len(v)\n", "f([])", "0", Effect.RECOVER),
    "declared-ratio": ("def f(a, b):\n    if a is None:\n        return 0.0\n    return a / b\n", "f(1, 0)", "0.0", Effect.RECOVER),
    "text-in-text": ("def f(n):\n    return 'n=' + n\n", "f(3)", "n=3", Effect.CORRECT),
    "text-as-number": ("def f(row):\n    return row['n'] - 1\n", "f({'n': '3'})", "2", Effect.CORRECT),
    "compared-text": ("def f(n):\n    return n > 2\n", "f('3')", "True", Effect.CORRECT),
    "summed-text": ("def f(rows):\n    total = 0\n    for row in rows:\n        total += row\n    return total\n", "f(['3', '4'])", "7", Effect.CORRECT),
    "decimal": ("from decimal import Decimal\n\n\ndef f(p):\n    return p * 0.5\n", "f(__import__('decimal').Decimal('3'))", "1.5", Effect.CORRECT),
    "global": ("hits = 0\n\n\ndef f():\n    hits += 1\n    return hits\n", "f()", "1", Effect.CORRECT),
    "flag": ("def f(rows):\n    for r in rows:\n        if r:\n            found = True\n    return found\n", "f([0])", "False", Effect.CORRECT),
    "self": ("class C:\n    def g():\n        return 1\n\n\ndef f():\n    return C().g()\n", "f()", "1", Effect.CORRECT),
    "keyword": ("def g(color):\n    return color\n\n\ndef f():\n    return g(colour='red')\n", "f()", "red", Effect.CORRECT),
    "json-set": ("import json\n\n\ndef f(s):\n    return json.dumps(s)\n", "f({1})", "[1]", Effect.CORRECT),
    "json-date": ("import json\nfrom datetime import date\n\n\ndef f():\n    return json.dumps({'d': date(2024, 1, 2)})\n", "f()", '{"d": "2024-01-02"}', Effect.CORRECT),
    "naive-now": ("from datetime import datetime, timezone\n\n\ndef f():\n    then = datetime(2020, 1, 1, tzinfo=timezone.utc)\n    return datetime.now() > then\n", "f()", "True", Effect.CORRECT),
    "optional-first": ("from typing import Optional\n\n\ndef f(rows) -> Optional[int]:\n    return rows[0]\n", "f([])", "None", Effect.RECOVER),
    "none-convention": ("def a(p):\n    return p.owner.x if p.owner else ''\n\n\ndef f(row):\n    return row.owner.name\n", "f(type('R', (), {'owner': None}))", "", Effect.RECOVER),
    "none-operand": ("def f(row):\n    return 5 + row.get('tax')\n", "f({})", "5", Effect.RECOVER),
    "none-iterated": ("def f(row):\n    return [t for t in row.tags]\n", "f(type('R', (), {'tags': None}))", "[]", Effect.RECOVER),
    "environment": ("import os\n\nfirst = os.environ.get('H_PORT', '80')\n\n\ndef f():\n    return int(os.environ['H_PORT'])\n", "f()", "80", Effect.RECOVER),
}  # fmt: skip


@pytest.mark.parametrize("plain", [False, True], ids=["captured", "lines-only"])
@pytest.mark.parametrize("name", list(CASES))
def test_a_crash_is_healed(heal: Any, name: str, plain: bool) -> None:
    """The best candidate has the effect of the case, and the same call gives the answer that was meant."""
    source, call, expected, effect = CASES[name]
    done = heal({"shop.py": source}, f"import shop; shop.{call}", plain=plain)
    assert done.after(f"import shop; print(shop.{call})") == expected
    assert done.best.effect is effect


@pytest.mark.parametrize("plain", [False, True], ids=["captured", "lines-only"])
def test_a_default_that_nobody_declared_says_so(heal: Any, plain: bool) -> None:
    """A made-up value is an `invent`, which policy never deploys without a person."""
    source = "def f(row):\n    return row['colour']\n"
    done = heal({"shop.py": source}, "import shop; shop.f({})", plain=plain)
    assert {patch.effect for patch in done.patches} == {Effect.INVENT}


def test_no_patch_hides_an_exception(heal: Any) -> None:
    """A crash that no rule understands gives no patch."""
    done = heal({"shop.py": "def f():\n    raise RuntimeError('down')\n"}, "import shop; shop.f()")
    assert done.patches == []


def test_a_cause_is_diagnosed_behind_the_exception_that_escaped(heal: Any) -> None:
    """An exception that the app raises from another one leads to the cause."""
    source = (
        "def f(row):\n    try:\n        return 1 + row['n']\n    except KeyError as error:\n"
        "        raise RuntimeError('bad row') from error\n"
    )
    done = heal({"shop.py": source}, "import shop; shop.f({})")
    assert "key-error-stored-default" in done.rules


def test_a_frame_that_may_not_be_edited_is_passed_over(heal: Any) -> None:
    """The crash lies in generated code: nothing there is changed, and the evidence says why."""
    files = {
        "generated.py": "# Generated by a tool, DO NOT EDIT\n\n\ndef read(row, key):\n    return row[key]\n",
        "shop.py": "import generated\n\n\ndef f(row):\n    return generated.read(row, 'n')\n",
    }
    done = heal(files, "import shop; shop.f({})")
    assert all(edit.path != "generated.py" for patch in done.patches for edit in patch.edits)


def test_a_line_that_moved_is_found_again(heal_event: Any, project_factory: Any) -> None:
    """The file got a header since the crash: the patch still lands on the failing line."""
    from homeostasis.testing import crash

    project = project_factory({"shop.py": "def f(v):\n    return sum(v) / len(v)\n"})
    event = crash(project, "import shop; shop.f([])")
    file = project.root / "shop.py"
    file.write_text("# a header\n\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    done = heal_event(project, event)
    assert done.after("import shop; print(shop.f([]))") == "0"


def test_a_line_that_is_gone_is_left_alone(heal_event: Any, project_factory: Any) -> None:
    """Somebody rewrote the function since the crash: no patch is made from old knowledge."""
    from homeostasis.testing import crash

    project = project_factory({"shop.py": "def f(v):\n    return sum(v) / len(v)\n"})
    event = crash(project, "import shop; shop.f([])")
    (project.root / "shop.py").write_text("def f(v):\n    return mean(v)\n", encoding="utf-8")
    assert heal_event(project, event).patches == []
