"""Runtime exceptions, upgrades and files: real crashes, healed and run again."""

from __future__ import annotations

import gc
import sys
from typing import Any, Dict, Iterator, Tuple

import pytest

from homeostasis.models import Effect
from homeostasis.testing import ProjectFactory, crash

# The code under test crashes with files and loops open, which is what it is there for.
pytestmark = pytest.mark.filterwarnings("ignore")

CASES: Dict[str, Tuple[str, str, str, str]] = {
    "join": ("def f(v):\n    return ','.join(v)\n", "f([1, 2])", "1,2", "type-error-join"),
    "text-and-bytes": ("def f(d):\n    return 'got ' + d\n", "f(b'x')", "got x", "type-error-text-and-bytes"),
    "bytes-literal": ("def f(d):\n    return d.split(',')\n", "f(b'a,b')", "[b'a', b'b']", "type-error-bytes-literal"),
    "hash": ("import hashlib\n\n\ndef f(t):\n    return hashlib.md5(t).hexdigest()[:4]\n", "f('a')", "0cc1", "type-error-needs-bytes"),
    "decode": ("def f(t):\n    return t.decode('utf-8')\n", "f('a')", "a", "attribute-decode"),
    "unhashable": ("def f(rows):\n    return len(set(rows))\n", "f([[1], [1]])", "1", "type-error-unhashable"),
    "division": ("def f(v):\n    return v[len(v) / 2]\n", "f([1, 2, 3])", "2", "type-error-true-division"),
    "text-count": ("def f(n):\n    return len(range(n))\n", "f('3')", "3", "type-error-text-count"),
    "format-number": ("def f(n):\n    return '%d items' % n\n", "f('3')", "3 items", "type-error-format-number"),
    "format-tuple": ("def f(p):\n    return 'at %s' % p\n", "f((1, 2))", "at (1, 2)", "type-error-format-tuple"),
    "format-code": ("def f(p):\n    return f'{p:.1f}'\n", "f('2.5')", "2.5", "value-error-format-code"),
    "module-call": ("import datetime\n\n\ndef f():\n    return datetime(2024, 1, 2).day\n", "f()", "2", "type-error-module-call"),
    "property": ("class C:\n    @property\n    def n(self):\n        return 4\n\n\ndef f():\n    return C().n()\n", "f()", "4", "type-error-called-property"),
    "uncalled": ("def f(d):\n    return [k for k, v in d.items]\n", "f({1: 2})", "[1]", "type-error-uncalled-method"),
    "keyword-only": ("def g(a, *, b):\n    return a + b\n\n\ndef f():\n    return g(1, 2)\n", "f()", "3", "type-error-keyword-only"),
    "class-call": ("class C:\n    def n(self):\n        return 5\n\n\ndef f():\n    return C.n()\n", "f()", "5", "type-error-class-call"),
    "dict-items": ("def f(d):\n    return [v for k, v in d]\n", "f({'abc': 1})", "[1]", "iteration-dict-items"),
    "split": ("def f(t):\n    k, v = t.split('=')\n    return v\n", "f('a=b=c')", "b=c", "value-error-split"),
    "lazy": ("def f(v):\n    n = (x for x in v)\n    return len(n)\n", "f([1, 2])", "2", "iteration-lazy"),
    "used-twice": ("def f(v):\n    n = map(int, v)\n    return min(n), max(n)\n", "f('12')", "(1, 2)", "iteration-used-twice"),
    "recursive-property": ("class C:\n    _n = 3\n\n    @property\n    def n(self):\n        return self.n\n\n\ndef f():\n    return C().n\n", "f()", "3", "recursion-property"),
    "cycle": ("def size(n):\n    return 1 + sum(size(c) for c in n['c'])\n\n\ndef f():\n    n = {'c': []}\n    n['c'].append(n)\n    return size(n)\n", "f()", "1", "recursion-cycle"),
    "date-class": ("import datetime\n\n\ndef f():\n    return datetime.strptime('2024', '%Y').year\n", "f()", "2024", "date-class"),
    "date-module": ("from datetime import datetime\n\n\ndef f():\n    return (datetime(2024, 1, 1) + datetime.timedelta(1)).day\n", "f()", "2", "date-module"),
    "date-kind": ("from datetime import date, datetime\n\n\ndef f():\n    return datetime.now() > date(2020, 1, 1)\n", "f()", "True", "date-kind"),
    "day-range": ("from datetime import date\n\n\ndef f(d):\n    return d.replace(year=d.year + 1)\n", "f(__import__('datetime').date(2024, 2, 29))", "2025-02-28", "date-day-range"),
    "stored-zone": ("from datetime import datetime, timezone\n\n\ndef f():\n    row = {'at': datetime.utcnow()}\n    return datetime.now(timezone.utc) >= row['at']\n", "f()", "True", "date-stored-zone"),
    "nested-loop": ("import asyncio\n\n\nasync def g():\n    return 1\n\n\nasync def h():\n    return asyncio.run(g())\n\n\ndef f():\n    return asyncio.run(h())\n", "f()", "1", "async-nested-loop"),
    "async-for": ("import asyncio\n\n\nasync def g():\n    yield 1\n\n\nasync def h():\n    return [n for n in g()]\n\n\ndef f():\n    return asyncio.run(h())\n", "f()", "[1]", "async-for"),
    "async-with": ("import asyncio\n\n\nasync def h():\n    lock = asyncio.Lock()\n    with lock:\n        return 1\n\n\ndef f():\n    return asyncio.run(h())\n", "f()", "1", "async-with"),
    "gather": ("import asyncio\n\n\nasync def g(n):\n    return n\n\n\nasync def h():\n    tasks = [asyncio.ensure_future(g(n)) for n in (1, 2)]\n    return await asyncio.gather(tasks)\n\n\ndef f():\n    return asyncio.run(h())\n", "f()", "[1, 2]", "async-gather"),
    "json-decoded": ("import json\n\n\ndef f(d):\n    return json.loads(d)['a']\n", "f({'a': 1})", "1", "json-decoded"),
    "json-keys": ("import json\nfrom datetime import date\n\n\ndef f():\n    d = {date(2024, 1, 2): 1}\n    return json.dumps(d)\n", "f()", '{"2024-01-02": 1}', "json-keys"),
    "json-dataclass": ("import json\nfrom dataclasses import dataclass\n\n\n@dataclass\nclass P:\n    x: int\n\n\ndef f():\n    return json.dumps(P(1))\n", "f()", '{"x": 1}', "json-dataclass"),
    "import": ("def f(x):\n    return json.dumps(x)\n", "f(1)", "1", "name-forgotten-import"),
    "misspelt": ("def f(rows):\n    total = sum(rows)\n    return totl\n", "f([1, 2])", "3", "name-misspelt"),
    "builtin": ("def f(x):\n    return unicode(x)\n", "f(1)", "1", "python-upgrade-python2-builtin"),
    "has-key": ("def f(d):\n    return d.has_key(1)\n", "f({1: 2})", "True", "python-upgrade-dict-methods"),
    "clock": ("import time\n\n\ndef f():\n    return time.clock() > 0\n", "f()", "True", "python-upgrade-clock"),
    "base64": ("import base64\n\n\ndef f(d):\n    return base64.encodestring(d)\n", "f(b'a')", r"b'YQ==\n'", "python-upgrade-base64"),
    "gcd": ("import fractions\n\n\ndef f():\n    return fractions.gcd(4, 6)\n", "f()", "2", "python-upgrade-gcd"),
    "errno": ("import os\n\n\ndef f():\n    return os.errno.ENOENT\n", "f()", "2", "python-upgrade-os"),
    "python2": ("def f(d):\n    import urllib\n    return urllib.urlencode(d)\n", "f({'a': 1})", "a=1", "python-upgrade-python2-module"),
    "exists": ("import os\n\n\ndef f():\n    os.makedirs('d')\n    os.makedirs('d')\n    return os.path.isdir('d')\n", "f()", "True", "file-directory-exists"),
    "directory": ("def f():\n    path = 'missing/a.txt'\n    with open(path, 'w') as out:\n        return out.write('abc')\n", "f()", "3", "file-missing-directory"),
    "removed": ("import os\n\n\ndef f():\n    os.remove('gone.tmp')\n    return 1\n", "f()", "1", "file-removed-already"),
    "mode": ("def f(d):\n    with open('a.bin', 'w') as out:\n        return out.write(d)\n", "f(b'ab')", "2", "file-mode"),
    "closed": ("def f():\n    with open(__file__) as source:\n        lines = iter(source)\n    return next(lines).strip()\n", "f()", "def f():", "file-closed"),
    "ascii": ("def f(d):\n    return d.decode('ascii') == '\\u00e9'\n", r"f(b'\xc3\xa9')", "True", "encoding-ascii"),
    "mutable-default": ("def g(n, seen=[]):\n    if n in seen:\n        raise ValueError(n)\n    seen.append(n)\n    return seen\n\n\ndef f():\n    g('a')\n    return g('a')\n", "f()", "['a']", "mutable-default"),
    "shared-generator": ("import threading\n\ninside = threading.Event()\nanother = threading.Event()\n\n\ndef numbers():\n    n = 0\n    while True:\n        n += 1\n        inside.set()\n        another.wait(0.2)\n        yield n\n\n\nids = numbers()\n\n\ndef new():\n    return next(ids)\n\n\ndef f():\n    thread = threading.Thread(target=new)\n    thread.start()\n    inside.wait(30)\n    try:\n        return new()\n    finally:\n        another.set()\n        thread.join()\n", "f()", "2", "generator-shared"),
    "strtobool": ("def f():\n    from distutils.util import strtobool\n    return strtobool('On'), strtobool('f')\n", "f()", "(1, 0)", "python-upgrade-strtobool"),
    "journal": ("import os\nimport sqlite3\n\n\ndef connect():\n    conn = sqlite3.connect('rows.db', timeout=0.05)\n    return conn\n\n\ndef f():\n    if os.path.exists('rows.db'):\n        os.remove('rows.db')\n    writer = connect()\n    writer.executescript('CREATE TABLE t (n); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)')\n    rows = connect().execute('SELECT n FROM t')\n    next(rows)\n    writer.execute('INSERT INTO t VALUES (3)')\n    writer.commit()\n    return next(rows)\n", "f()", "(2,)", "sqlite-journal"),
    "set-iterated": ("def f(s):\n    for n in s:\n        if n > 1:\n            s.discard(n)\n    return len(s)\n", "f({1, 2, 3})", "1", "mutated-while-iterated"),
    "deque-iterated": ("from collections import deque\n\n\ndef f(v):\n    queue = deque(v)\n    for n in queue:\n        if n > 1:\n            queue.append(n - 1)\n    return list(queue)\n", "f([1, 3])", "[1, 3, 2]", "mutated-while-iterated"),
    "empty-setting": ("import os\n\n\ndef f():\n    os.environ['H_EMPTY'] = ''\n    return int(os.environ.get('H_EMPTY', '5'))\n", "f()", "5", "env-empty"),
}  # fmt: skip
NEWER = {"async-with": (3, 9), "clock": (3, 8), "base64": (3, 9), "gcd": (3, 9), "strtobool": (3, 12)}
"""Cases that crash from a version of Python on."""


@pytest.fixture(scope="module", autouse=True)
def _set_aside() -> Iterator[None]:
    """What was there before is not looked through at each collection."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What the crashed code left open is collected within its own test, where the warnings are ignored."""
    yield
    gc.collect()


@pytest.mark.parametrize("name", [name for name in CASES if sys.version_info >= NEWER.get(name, (3,))])
def test_a_known_exception_is_healed(heal: Any, name: str, tmp_path: Any, monkeypatch: Any) -> None:
    """The best candidate is of the rule that knows the exception, and the same call gives what was meant."""
    monkeypatch.chdir(tmp_path)
    source, call, expected, rule = CASES[name]
    done = heal({"shop.py": source}, f"import shop; shop.{call}")
    assert done.best.rule_id == rule, (done.rules, done.event.raised.message)
    assert done.after(f"import shop; print(shop.{call})") == expected
    assert done.best.effect in (Effect.CORRECT, Effect.RECOVER, Effect.RECONNECT)


def test_a_file_beside_the_module_is_found(heal: Any, tmp_path: Any, monkeypatch: Any) -> None:
    """A path that was right in another working directory starts at the module."""
    monkeypatch.chdir(tmp_path)
    files = {
        "store/__init__.py": "",
        "store/load.py": "def f():\n    with open('words.txt') as f:\n        return f.read()\n",
        "store/words.txt": "apple",
    }
    done = heal(files, "from store import load; load.f()")
    assert done.best.rule_id == "file-relative-path"
    assert done.after("from store import load; print(load.f())") == "apple"


def test_the_extra_of_a_missing_module_is_named(project_factory: ProjectFactory, heal_event: Any) -> None:
    """No patch installs anything: the diagnosis says what to install."""
    extras = '[project]\nname = "shop"\n\n[project.optional-dependencies]\nqueue = ["no-such-broker>=2"]\n'
    project = project_factory({"shop.py": "import no_such_broker\n"})
    (project.root / "pyproject.toml").write_text(extras, encoding="utf-8")
    done = heal_event(project, crash(project, "import shop"))
    assert [each.rule_id for each in done.diagnoses] == ["import-optional"]
    assert "pip install 'shop[queue]'" in done.diagnoses[0].summary
    assert done.patches == []


def test_a_documented_setting_is_used(heal: Any) -> None:
    """The README's table gives the default, and the evidence names the line."""
    files = {
        "shop.py": "import os\n\n\ndef f():\n    return int(os.environ.get('H_WORKERS'))\n",
        "README.md": "# Shop\n\n| Variable | Default |\n| --- | --- |\n| `H_WORKERS` | `4` |\n",
    }
    done = heal(files, "import shop; shop.f()")
    assert done.best.rule_id == "env-unset"
    assert any("README.md:5" in each for each in done.best.evidence)
    assert done.after("import shop; print(shop.f())") == "4"


@pytest.mark.parametrize(
    ("source", "call"),
    [
        ("def f(v):\n    return ','.join(v)\n", "f([None])"),
        ("def f(n):\n    return range(n)\n", "f('many')"),
        ("def f(p):\n    return f'{p:.1f}'\n", "f('n/a')"),
        ("def f():\n    return open('/nowhere/at/all')\n", "f()"),
        ("def f(n):\n    return f(n - 1) * 2\n", "f(1)"),
        ("def f(v):\n    return max(x for x in v)\n", "f([])"),
    ],
)
def test_what_is_not_known_is_not_corrected(heal: Any, source: str, call: str) -> None:
    """A crash whose intent the code does not show gets no patch that claims to be correct."""
    done = heal({"shop.py": source}, f"import shop; shop.{call}")
    assert [patch.diff for patch in done.patches if patch.effect is Effect.CORRECT] == []
