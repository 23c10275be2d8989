from __future__ import annotations

import inspect
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import homeostasis
from homeostasis.monitoring.frames import entries
from homeostasis.monitoring.sources import lines_of
from homeostasis.monitoring.spans import span_of

# The statement, with the failing expression between « and ».
SHAPES = [
    "return «d['x']»",
    "return [1, «d['x']», d.get('y')]",
    "return d.get('a') + «d['x']» + 1",
    "return «n.price»",
    "return «n.price»()",
    "return «n.a».b.c",
    "return o.real + «n.a».b",
    "return «o + s»",
    "return (1, «s + o», o + 1)",
    "return «o / zero» + o / o",
    "return «items[9]»",
    "return items[0] + «items[9]» + items[1]",
    "return nested and «nested['k']['z']»",
    "return «int(s)»",
    "return o + «int(s)» + int('1')",
    "return «n()»",
    "return len(items) + «len(n)»",
    "return «missing»",
    "return {'a': «d['x']»}",
    "return {**d, **«n.a»}",
    "return [«d[k]» for k in 'x']",
    "return sum(«d[k]» for k in 'x')",
    "return (lambda: «d['x']»)()",
    "return f(«d['x']», key=d.get('q'))",
    "return «f(1, 2, 3)»",
    "return -o + «-s»",
    "return o < 3 and «o < s»",
    "return items[«zero.q»:1]",
    "return «items['a']»",
    "return o if «d['x']» else s",
    "«items[9]» = 1",
    "del «d['x']»",
    "«s[0]» = 'b'",
    "«o += s»",
    "«raise ValueError(s)»",
    "o = 2\n    for _ in «n»: pass",
    "o = 2\n    with «n»: pass",
    "d['y'] = «d['x']»",
    "x = y = «d['x']»",
    "assert «d['x']»",
    "«import missing_module»",
    "return 'ä' + «d['ö']» + 'ü'",
    "return f\"{o}{«d['x']»}\"",
    "return (\n        o +\n        «d['x']»\n    )",
    "return «d[\n        'x'\n    ]»",
    "return «o.real.imag.q»",
    "return o, «f(o).q», f(s)",
    "«a, b» = n",
    "return «d['x']» if o else d['x']",
    "o = 2\n    if «d['x']»: pass",
    "o = 2\n    while «d['x']»: pass",
]


SHAPES += [
    "o = 2\n    while items and «d['x']»: pass",
    "o = 2\n    if o: pass\n    while not o: pass\n    return «d['x']»",
    "o = 2\n    if not «d['x']»: pass\n    else: pass\n    return o",
]
ARGUMENTS = {"d": {"a": 1}, "o": 1, "s": "text", "n": None, "items": [1, 2], "nested": {"k": {}}, "zero": 0}


def source_of(shape: str) -> str:
    statement = shape.replace("«", "").replace("»", "")
    return (
        "def f(value, key=None):\n    return value\n\ndef crash(d, o, s, n, items, nested, zero):\n"
        f"    é = 1; {statement}\n"
    )


def blamed(error: BaseException, source: str) -> str:
    """The text of the span."""
    innermost = entries(error.__traceback__)[-1]
    lines = lines_of(innermost.code)
    assert lines is not None
    span = span_of(innermost.code, innermost.instruction, innermost.line, lines, in_app=True)
    assert span["column"] is not None
    text = source.splitlines(keepends=True)[span["line"] - 1 : span["end_line"]]
    found = "".join(text)[span["column"] :]
    return found[: len(found) - (len(text[-1]) - span["end_column"])]


def allowed(shape: str) -> tuple[str, ...]:
    expected = shape[shape.index("«") + 1 : shape.index("»")]
    # Python 3.11 and 3.12 blame the whole loop for what cannot be iterated, and the whole `with` for its manager.
    whole = shape.replace("«", "").replace("»", "").splitlines()[-1].strip()
    return (expected, whole) if whole.startswith(("for ", "with ")) else (expected,)


@pytest.mark.parametrize("shape", SHAPES)
def test_failing_expression(shape: str, load: Any, raised_by: Any) -> None:
    """The span is that of the expression that failed, on every version of Python."""
    source = source_of(shape)
    error = raised_by(lambda: load("shop", source)["crash"](**ARGUMENTS))
    assert blamed(error, source) in allowed(shape)


CHECK = """
import json, sys
from homeostasis.monitoring.frames import entries
from homeostasis.monitoring.sources import lines_of
from homeostasis.monitoring.spans import span_of

{blamed}

sources, arguments = json.load(sys.stdin)
found = []
for number, source in enumerate(sources):
    path = f"shop{number}.py"
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(source)
    names = {"__name__": "shop"}
    exec(compile(source, path, "exec"), names)
    try:
        names["crash"](**arguments)
    except Exception as error:
        found.append(blamed(error, source))
print(json.dumps(found))
"""


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_other_interpreters(version: str, project: Path) -> None:
    """The table holds on the versions of Python that these tests do not run on, as far as pyenv has them."""
    pythons = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    if not pythons:
        pytest.skip(f"pyenv has nothing to run this with on Python {version}")
    function = inspect.getsource(blamed).replace("error: BaseException, source: str) -> str", "error, source)")
    (project / "check.py").write_text(CHECK.replace("{blamed}", function), encoding="utf-8")
    shapes = [shape for shape in SHAPES if shape != "«import missing_module»"]
    done = subprocess.run(
        [pythons[-1], "check.py"],
        cwd=project,
        input=json.dumps([[source_of(shape) for shape in shapes], ARGUMENTS]),
        env={"PYTHONPATH": str(Path(homeostasis.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert len(found) == len(shapes)
    assert [(shape, text) for shape, text in zip(shapes, found) if text not in allowed(shape)] == []


def test_nothing_is_claimed_of_other_code(load: Any, raised_by: Any) -> None:
    """A source that the code was not compiled from yields no columns below 3.11, and no error on any version."""
    from homeostasis.monitoring.offsets import node_span

    crash = load("shop", "def crash():\n    return {}['a']\n")["crash"]
    innermost = entries(raised_by(crash).__traceback__)[-1]
    for other in ("", "def crash():\n    return 1\n", "def (", "x" * 500_000):
        assert node_span(innermost.code, innermost.instruction, other) is None
