"""Missing keys and items that are nobody's fault but the code's: real crashes, healed, and the same call again."""

from __future__ import annotations

from typing import Any

import pytest

from homeostasis.models import Effect

CASES = {
    "nested-counter": ("def f():\n    seen = {}\n    for a, b in ('xy', 'xy', 'xz'):\n        seen[a][b] += 1\n    return seen\n", "key-error-nested-counter", "{'x': {'y': 2, 'z': 1}}", Effect.CORRECT),
    "nested-assignment": ("def f():\n    table = {}\n    table['a']['b'] = 1\n    return table\n", "key-error-nested-collection", "{'a': {'b': 1}}", Effect.CORRECT),
    "nested-list": ("def f():\n    tree = {}\n    tree['a']['b'].append(1)\n    return tree\n", "key-error-nested-collection", "{'a': {'b': [1]}}", Effect.CORRECT),
    "nested-default": ("def other(section):\n    return section.get('port', 25)\n\n\ndef f(config={}):\n    return config['smtp']['port']\n", "key-error-nested-default", "25", Effect.RECOVER),
    "running-text": ("def f():\n    texts = {}\n    for word in 'ab':\n        texts['x'] += word\n    return texts\n", "key-error-running-text", "{'x': 'ab'}", Effect.CORRECT),
    "running-list": ("def f():\n    rows = {}\n    for n in (1, 2):\n        rows['x'] += [n]\n    return rows\n", "key-error-running-list", "{'x': [1, 2]}", Effect.CORRECT),
    "running-set": ("def f():\n    rows = {}\n    for n in (1, 1):\n        rows['x'] |= {n}\n    return rows\n", "key-error-running-set", "{'x': {1}}", Effect.CORRECT),
    "cache": ("CACHE = {}\n\n\ndef load(n):\n    return n * 2\n\n\ndef warm(ns):\n    for n in ns:\n        CACHE[n] = load(n)\n\n\ndef f(number=4):\n    return CACHE[number]\n", "key-error-cache", "8", Effect.CORRECT),
    "key-type": ("import json\n\n\ndef f(number=7):\n    rows = json.loads('{\"7\": \"tea\"}')\n    return rows[number]\n", "key-error-key-type", "tea", Effect.CORRECT),
    "key-spelling": ("ROWS = {'colour': 'red', 'size': 1}\n\n\ndef f():\n    return ROWS['color']\n", "key-error-misspelt-key", "red", Effect.CORRECT),
    "already-removed": ("CLIENTS = {}\n\n\ndef f():\n    del CLIENTS[1]\n    return len(CLIENTS)\n", "key-error-already-removed", "0", Effect.CORRECT),
    "set-remove": ("NAMES = set()\n\n\ndef f():\n    NAMES.remove('a')\n    return len(NAMES)\n", "key-error-already-removed", "0", Effect.CORRECT),
    "list-remove": ("NAMES = []\n\n\ndef f():\n    NAMES.remove('a')\n    return len(NAMES)\n", "index-error-not-in-list", "0", Effect.CORRECT),
    "one-too-far": ("def f(xs=(1, 2, 4)):\n    return [xs[i + 1] - xs[i] for i in range(len(xs))]\n", "index-error-past-end", "[1, 2]", Effect.CORRECT),
    "while-too-far": ("def f(xs=(1, 2), x=3):\n    i = 0\n    while i <= len(xs):\n        if xs[i] == x:\n            return i\n        i += 1\n    return -1\n", "index-error-past-end", "-1", Effect.CORRECT),
    "drained": ("def f():\n    queue, total = [1, 2], 0\n    while True:\n        n = queue.pop(0)\n        total += n\n    return total\n", "index-error-drained", "3", Effect.CORRECT),
    "max": ("def f(rows=()):\n    if rows is None:\n        return -1\n    return max(rows)\n", "index-error-empty-extreme", "-1", Effect.RECOVER),
    "mean": ("import statistics\n\n\ndef f(rows=()):\n    if rows is None:\n        return 0.0\n    return statistics.mean(rows)\n", "index-error-empty-statistics", "0.0", Effect.RECOVER),
    "choice": ("import random\nfrom typing import Optional\n\n\ndef f(rows=()) -> Optional[int]:\n    return random.choice(rows)\n", "index-error-empty-choice", "None", Effect.RECOVER),
    "reduce": ("from functools import reduce\n\n\ndef f(rows=()):\n    return reduce(lambda a, b: a + b, rows)\n", "index-error-empty-reduce", "0", Effect.RECOVER),
    "next": ("from typing import Optional\n\n\ndef f(rows=()) -> Optional[int]:\n    return next(iter(rows))\n", "index-error-next", "None", Effect.RECOVER),
    "dict-view": ("def f():\n    return {'a': 1}.keys()[0]\n", "index-error-dict-view", "a", Effect.CORRECT),
}  # fmt: skip
NEEDS_VALUES = {"running-text", "key-type"}
"""Cases in which the captured values tell what to do; a traceback from a log does not."""
WAYS = [(name, plain) for name in CASES for plain in (False, True) if not plain or name not in NEEDS_VALUES]


@pytest.mark.parametrize(
    ("name", "plain"), WAYS, ids=[f"{name}-{'lines-only' if p else 'captured'}" for name, p in WAYS]
)
def test_a_crash_is_healed(heal: Any, name: str, plain: bool) -> None:
    """The best candidate is the rule's, has the effect of the case, and gives the answer that was meant."""
    source, rule, expected, effect = CASES[name]
    done = heal({"shop.py": source}, "import shop; shop.f()", plain=plain)
    assert done.best.rule_id == rule
    assert done.best.effect is effect
    assert done.after("import shop; print(shop.f())") == expected


def test_a_byte_order_mark_is_read_over(heal: Any, tmp_path: Any) -> None:
    """The file is opened so that the mark is taken off; a file without it reads as before."""
    for name, start in (("marked.csv", b"\xef\xbb\xbf"), ("plain.csv", b"")):
        (tmp_path / name).write_bytes(start + b"id,name\n1,tea\n")
    source = (
        "import csv\n\n\ndef f(path):\n    found = []\n    with open(path, encoding='utf-8') as file:\n"
        "        for row in csv.DictReader(file):\n            found.append(row['id'])\n    return found\n"
    )
    marked, plain = str(tmp_path / "marked.csv"), str(tmp_path / "plain.csv")
    done = heal({"shop.py": source}, f"import shop; shop.f({marked!r})")
    assert done.best.rule_id == "key-error-csv-bom"
    assert done.after(f"import shop; print(shop.f({marked!r}), shop.f({plain!r}))") == "['1'] ['1']"


@pytest.mark.parametrize("loop", ["text.splitlines()", "csv.reader(text.splitlines())"])
def test_blank_lines_are_skipped(heal: Any, loop: str) -> None:
    """A blank line and an empty row are passed over; a short line that is not blank still fails."""
    read = "line[1]" if "csv" in loop else "line.split(',')[1]"
    source = f"import csv\n\n\ndef f(text):\n    found = []\n    for line in {loop}:\n        found.append({read})\n    return found\n"
    done = heal({"shop.py": source}, "import shop; shop.f('a,b\\n\\nc,d')")
    assert done.best.rule_id == "index-error-blank-line"
    assert done.after("import shop; print(shop.f('a,b\\n\\nc,d'))") == "['b', 'd']"
    assert heal({"shop.py": source}, "import shop; shop.f('a')").rules.isdisjoint({"index-error-blank-line"})


def test_a_program_without_arguments_says_how_it_is_called(heal: Any) -> None:
    """Instead of a traceback there is a line of usage."""
    source = "import sys\n\n\ndef main():\n    path = sys.argv[1]\n    return path\n"
    done = heal({"shop.py": source}, "import sys; sys.argv = ['shop']; import shop; shop.main()")
    assert done.best.rule_id == "index-error-argv"
    code = "import sys, shop; sys.argv = ['shop']\ntry:\n    shop.main()\nexcept SystemExit as error:\n    print(error)"
    assert done.after(code) == "usage: shop PATH"


def test_a_decorated_setting_of_the_app(heal: Any) -> None:
    """A setting that nobody made has the default that the configuration class declares."""
    files = {
        "app.py": "from flask import Flask\n\napp = Flask(__name__)\n\n\ndef f():\n    return app.config['PAGE_SIZE'] * 2\n",
        "config.py": "class Config:\n    PAGE_SIZE = 20\n",
    }
    done = heal(files, "import app; app.f()")
    assert done.best.rule_id == "key-error-app-config"
    assert done.best.effect is Effect.RECOVER
    assert done.after("import app; print(app.f())") == "40"
