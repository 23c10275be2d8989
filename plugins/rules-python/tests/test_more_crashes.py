"""Crashes of calls, names, kinds of objects and upgrades, each as a program that is run, healed and run again."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from homeostasis.models import Effect

CORRECT, RECOVER, INVENT = Effect.CORRECT, Effect.RECOVER, Effect.INVENT
CASES = {
    "self-of-a-callback": ("class Tax:\n    def of(price):\n        return price * 2\n\n\ndef f():\n    return list(map(Tax().of, [1, 2]))\n", "f()", "[2, 4]", CORRECT),
    "self-of-a-key": ("class Order:\n    def rank(row):\n        return -row\n\n\ndef f():\n    return sorted([1, 2], key=Order().rank)\n", "f()", "[2, 1]", CORRECT),
    "text-of-an-object": ("class Point:\n    def __init__(self, x):\n        self.x = x\n\n    def label(self):\n        f'<{self.x}>'\n\n    def __str__(self):\n        return self.label()\n\n\ndef f():\n    return f'{Point(3)}'\n", "f()", "<3>", CORRECT),
    "default-of-siblings": ("class A:\n    def send(self, to, retry=3):\n        return to, retry\n\n\nclass B:\n    def send(self, to, retry=3):\n        return to, retry\n\n\nclass C:\n    def send(self, to, retry):\n        return to, retry\n\n\ndef f():\n    return C().send('x')\n", "f()", "('x', 3)", RECOVER),
    "default-that-is-none": ("def page(rows, limit):\n    if limit is None:\n        return rows\n    return rows[:limit]\n\n\ndef f():\n    return page([1, 2])\n", "f()", "[1, 2]", RECOVER),
    "walked-through": ("class Basket:\n    def __init__(self, items):\n        self.items = [item for item in items]\n\n\ndef f():\n    return Basket().items\n", "f()", "[]", INVENT),
    "initialiser": ("class Pool:\n    def __init__(self):\n        self.__worker = []\n\n    def size(self):\n        return len(self.__workers)\n\n\ndef f():\n    return Pool().size()\n", "f()", "0", CORRECT),
    "well-known-name": ("def f(text):\n    counts = defaultdict(int)\n    for word in text:\n        counts[word] += 1\n    return dict(counts)\n", "f('aba')", "{'a': 2, 'b': 1}", CORRECT),
    "datetime-class": ("def f():\n    return datetime.fromisoformat('2024-01-02').day\n", "f()", "2", CORRECT),
    "never-made": ("def f(rows):\n    for row in rows:\n        if row > 1:\n            large.append(row)\n    return large\n", "f([1, 2, 3])", "[2, 3]", CORRECT),
    "stored-null": ("def f(row):\n    return [tag.upper() for tag in row.get('tags', [])]\n", "f({'tags': None})", "[]", RECOVER),
    "looked-up-in-none": ("def f(row):\n    owner = row.get('owner')\n    return owner.get('name', 'nobody')\n", "f({'owner': None})", "nobody", RECOVER),
    "difference-with-none": ("def f(row):\n    return row['to'] - row['start']\n", "f({'to': None, 'start': 1})", "None", INVENT),
    "operand-elsewhere": ("def a(row):\n    return 1 + (row.hours or 0)\n\n\ndef f(row):\n    return 2 + row.hours\n", "f(type('R', (), {'hours': None}))", "2", RECOVER),
    "float-of-nothing": ("def f(rows, total):\n    return len(rows) / total\n", "f([1], 0)", "0.0", INVENT),
    "unhashable-sought": ("KNOWN = {'a', 'b'}\n\n\ndef f(value):\n    if value in KNOWN:\n        return 'known'\n    return 'unknown'\n", "f(['a'])", "unknown", CORRECT),
    "sort-for-people": ("def f(values):\n    return 'one of {}'.format(sorted(values))\n", "f([2, 'a'])", "one of [2, 'a']", CORRECT),
    "sort-with-none": ("def f(rows):\n    return sorted(rows, key=lambda row: row['n'])\n", "f([{'n': None}, {'n': 1}])", "[{'n': 1}, {'n': None}]", INVENT),
    "dict-for-object": ("def f(user):\n    return user.name\n", "f({'name': 'ann'})", "ann", CORRECT),
    "object-for-dict": ("from dataclasses import dataclass\n\n\n@dataclass\nclass User:\n    name: str\n\n\ndef f():\n    user = User('ann')\n    return user['name']\n", "f()", "ann", CORRECT),
    "brackets": ("def f(row):\n    return row.get['n']\n", "f({'n': 1})", "1", CORRECT),
    "path-as-text": ("from pathlib import Path\n\n\ndef f(name):\n    path = Path(name)\n    return path.endswith('.txt')\n", "f('a.txt')", "True", CORRECT),
    "set-for-list": ("def f(rows):\n    seen = set()\n    for row in rows:\n        seen.append(row)\n    return sorted(seen)\n", "f([2, 1, 2])", "[1, 2]", CORRECT),
    "json-text": ("def f(text):\n    return text['n']\n", "f('{\"n\": 4}')", "4", CORRECT),
    "number-of-items": ("def f(rows):\n    return [i for i in len(rows)]\n", "f('ab')", "[0, 1]", CORRECT),
    "called-value": ("from datetime import date\n\n\ndef f():\n    return date(2024, 1, 2).year()\n", "f()", "2024", CORRECT),
    "declared-fallback": ("def f(row):\n    return int(row.get('n', 7))\n", "f({'n': 'many'})", "7", RECOVER),
    "not-implemented": ("class Whole(int):\n    def __add__(self, other):\n        result = super().__add__(other)\n        return Whole(result)\n\n\ndef f():\n    return Whole(1) + 0.5\n", "f()", "1.5", CORRECT),
    "no-path": ("import os\n\n\ndef f(path=None):\n    if not os.path.isfile(path):\n        return 'none'\n    return path\n", "f()", "none", RECOVER),
    "past-the-end": ("def f(rows, n):\n    return rows[n]\n", "f([1], 4)", "None", INVENT),
    "braces": ("def f(n):\n    return '{\"n\": {n}, \"m\": {}}'.format(n=n)\n", "f(1)", '{"n": 1, "m": {}}', CORRECT),
    "field-name": ("def f(n):\n    return 'n = {nubmer:>3}'.format(number=n)\n", "f(1)", "n =   1", CORRECT),
    "group-name": ("import re\n\n\ndef f(text):\n    return re.match(r'(?P<year>\\d+)', text).group('years')\n", "f('2024-01')", "2024", CORRECT),
    "escaped": ("import re\n\n\ndef f(word):\n    return re.sub(f'{word}$', '', 'a+*')\n", "f('+*')", "a", CORRECT),
    "keyword-of-a-library": ("import json\n\n\ndef f(row):\n    return json.dumps(row, sort_key=True)\n", "f({'b': 1, 'a': 2})", '{"a": 2, "b": 1}', CORRECT),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_a_crash_is_healed(heal: Any, name: str) -> None:
    """The best candidate has the effect of the case, and the same call gives the answer that was meant."""
    source, call, expected, effect = CASES[name]
    done = heal({"shop.py": source}, f"import shop; shop.{call}")
    assert done.after(f"import shop; print(shop.{call})") == expected
    assert done.best.effect is effect


LEFT_ALONE = {
    "static-method": ("class Tax:\n    @staticmethod\n    def of(price):\n        return price\n\n\ndef f():\n    return list(map(Tax.of, [1], [2]))\n", "f()"),
    "initialiser-that-is-read": ("class Pool:\n    def __init__(self):\n        self.worker = []\n\n    def first(self):\n        return self.worker[0]\n\n    def reset(self):\n        self.workers = []\n\n    def size(self):\n        return len(self.workers)\n\n\ndef f():\n    return Pool().size()\n", "f()"),
    "a-key-of-another-name": ("def f(user):\n    return user.name\n", "f({'title': 'ann'})"),
    "a-pattern-as-a-whole": ("import re\n\n\ndef f(pattern):\n    return re.search(pattern, 'a')\n", "f('*')"),
    "a-record-to-update": ("def f(table, n):\n    table[n].update(a=1)\n", "f({}, 1)"),
    "text-and-number-compared": ("def f(a, b):\n    return a < b\n", "f('x', 1)"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(LEFT_ALONE))
def test_what_only_looks_alike_is_not_changed_without_asking(heal: Any, name: str) -> None:
    """No candidate would be deployed: there is none, or it is for a person to judge."""
    source, call = LEFT_ALONE[name]
    done = heal({"shop.py": source}, f"import shop; shop.{call}")
    assert [patch.summary for patch in done.patches if patch.effect is not INVENT and patch.risk.value != "high"] == []


def test_a_handled_exception_is_not_taken_for_the_cause(heal: Any) -> None:
    """A lookup that the code expects to fail stays as it is when the handling of it crashes."""
    source = "def f(row):\n    try:\n        return row['n']\n    except KeyError:\n        return row.missing()\n"
    done = heal({"shop.py": source}, "import shop; shop.f({})")
    assert "key-error-stored-default" not in done.rules


@pytest.mark.skipif(sys.version_info < (3, 10), reason="collections still has these names on Python 3.9")
def test_an_upgrade_is_followed_in_all_files(heal: Any) -> None:
    """The next file to be imported has the same removed import, and is changed with the first one."""
    files = {
        "shop/__init__.py": "from shop.a import A\nfrom shop.b import B\n",
        "shop/a.py": "from collections import Mapping\n\nA = isinstance({}, Mapping)\n",
        "shop/b.py": "from collections import Sequence, OrderedDict\n\nB = isinstance([], Sequence)\n",
        "shop/c.py": "try:\n    from collections import Mapping\nexcept ImportError:\n    from collections.abc import Mapping\n",
    }
    done = heal(files, "import shop")
    assert {edit.path for edit in done.best.edits} == {"shop/a.py", "shop/b.py"}
    assert done.after("import shop; print(shop.A, shop.B)") == "True True"
