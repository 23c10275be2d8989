"""No byte of an event becomes code: the patched tree differs from the base by declared nodes only."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from homeostasis.models import Event, Frame, Raised, Request, Span, Value
from homeostasis.project import Project

ATTACKS = [
    "'); __import__('os').system('id'); ('",
    "x'\nimport os\nos.system('id')\n#",
    '"""; import os #',
    "{{extraction.key}}",
    "{__import__('os').system('id')}",
    "\\N{NULL}\\",
    "\u202e\u0000\ud800",
    "a" * 100_000,
    "__class__",
    "<<<x>>>",
]
CRASHES = {
    "KeyError": ("def f(d, key):\n    return d[key]\n", "{}"),
    "IndexError": ("def f(d, key):\n    return d[0]\n", "list index out of range {}"),
    "AttributeError": ("def f(d, key):\n    return d.x.y\n", "'NoneType' object has no attribute '{}'"),
    "TypeError": ("def f(d, key):\n    return d + key\n", "unsupported operand type(s) for +: 'int' and '{}'"),
    "ValueError": ("def f(d, key):\n    return int(key)\n", "invalid literal for int() with base 10: {}"),
    "UnboundLocalError": ("def f(d, key):\n    if d:\n        n = 1\n    return n\n", "local variable '{}' referenced before assignment"),
    "RuntimeError": ("def f(d, key):\n    for k in d:\n        d.pop(k)\n", "dictionary changed size during iteration {}"),
    "JSONDecodeError": ("def f(d, key):\n    import json\n    return json.loads(key)\n", "Expecting value: {}"),
    "StopIteration": ("def f(d, key):\n    return next(x for x in d if x == key)\n", "{}"),
    "ValidationError": ("def f(d, key):\n    return Model(**d)\n", "1 validation error for Model\n{}\n  {} [type=missing, input_value={}, input_type=dict]"),
    "ResponseValidationError": ("def f(d, key):\n    return d.get(key)\n", "1 validation error:\n  {'type': 'missing', 'loc': ('response', '{}'), 'msg': '{}', 'input': None}"),
    "PydanticUserError": ("def f(d, key):\n    return d\n", "A non-annotated attribute was detected: `{} = {}`"),
    "ZeroDivisionError": ("def f(d, key):\n    return d / key\n", "{}"),
}  # fmt: skip
FLASK = "from flask import Flask, request\n\napp = Flask(__name__)\n\n\n"


def hostile_event(project: Project, kind: str, text: str, line: int) -> Event:
    value = Value(type="str", repr=repr(text), literal=True, length=len(text))
    names = {"d": value, "key": value, text[:50]: value}
    frame = Frame(
        path=str(project.root / "m.py"), function="f", qualname=text, span=Span(line=line), in_app=True, locals=names
    )
    raised = Raised(type=kind, message=CRASHES[kind][1].replace("{}", text), frames=(frame,), notes=(text,))
    headers = ((text, text),)
    request = Request(method="POST", path=f"/{text}", query=text, headers=headers, body=text.encode("utf-8", "replace"))
    return Event(id=text, timestamp=0.0, fingerprint="f" * 16, exceptions=(raised,), request=request)


def calls_and_imports(source: bytes) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            found.add(ast.dump(node.func))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update(f"{getattr(node, 'module', '')}:{alias.name}" for alias in node.names)
    return found


KNOWN = (
    "abort",
    "get",
    "str",
    "int",
    "float",
    "list",
    "Decimal",
    "f",
    "jsonify",
    "setdefault",
    "isinstance",
    "next",
    "loads",
    "len",
    "set",
    "hasattr",
)


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
@pytest.mark.parametrize("kind", list(CRASHES))
@pytest.mark.parametrize("web", [False, True], ids=["plain", "flask"])
def test_hostile_events_add_no_code(heal_event: Any, project_factory: Any, kind: str, attack: str, web: bool) -> None:
    """Messages, keys, paths, headers, names and values of an attacker reach a patch as nothing but constants."""
    source = CRASHES[kind][0]
    if web:
        source = FLASK + "@app.route('/<d>/<key>')\n" + source
    project = project_factory({"m.py": source})
    line = max(number for number, text in enumerate(source.split("\n"), 1) if text.strip())
    line -= kind == "RuntimeError"
    done = heal_event(project, hostile_event(project, kind, attack, line))
    for patch in done.patches:
        for edit in patch.edits:
            new = calls_and_imports(edit.after) - calls_and_imports(edit.before or b"")
            assert all(any(f"'{name}'" in item or item.endswith(f":{name}") for name in KNOWN) for item in new), new
            assert edit.path == "m.py"


def test_a_path_outside_the_project_is_never_read(heal_event: Any, project_factory: Any, tmp_path: Any) -> None:
    """A frame that names a file elsewhere leads to nothing."""
    project = project_factory({"m.py": "x = 1\n"})
    outside = tmp_path / "secret.py"
    outside.write_text("def f(v):\n    return 1 / len(v)\n", encoding="utf-8")
    for path in (str(outside), f"{project.root}/../../secret.py", "/etc/passwd", "m.py\0"):
        frame = Frame(path=path, function="f", span=Span(line=2), in_app=True)
        raised = Raised(type="ZeroDivisionError", message="division by zero", frames=(frame,))
        event = Event(id="e", timestamp=0.0, fingerprint="f" * 16, exceptions=(raised,))
        assert heal_event(project, event).patches == []


@pytest.mark.parametrize("line", [-5, 0, 10**9])
def test_a_span_without_source_is_no_error(heal_event: Any, project_factory: Any, line: int) -> None:
    """Lines that the file does not have lead to nothing."""
    project = project_factory({"m.py": "def f(v):\n    return 1 / len(v)\n"})
    span = Span(line=line, end_line=line, column=10**9, end_column=-1)
    frame = Frame(path=str(project.root / "m.py"), function="f", span=span, in_app=True)
    raised = Raised(type="ZeroDivisionError", message="division by zero", frames=(frame,))
    event = Event(id="e", timestamp=0.0, fingerprint="f" * 16, exceptions=(raised,))
    assert heal_event(project, event).patches == []


def test_a_file_that_is_no_python_is_no_error(heal_event: Any, project_factory: Any) -> None:
    """A file that does not parse is passed over."""
    project = project_factory({"m.py": "def f(:\n"})
    frame = Frame(path=str(project.root / "m.py"), function="f", span=Span(line=1), in_app=True)
    event = Event(id="e", timestamp=0.0, fingerprint="f" * 16, exceptions=(Raised(type="KeyError", frames=(frame,)),))
    assert heal_event(project, event).patches == []


REFUSED = {
    "shop/vendor/m.py": "is vendored or installed code",
    "shop/_vendor/m.py": "is vendored or installed code",
    "shop/site-packages/m.py": "is vendored or installed code",
    "other/m.py": "lies outside source",
    "shop/made.py": "says that it is generated",
}


@pytest.mark.parametrize("path", list(REFUSED))
def test_a_file_that_may_not_be_changed_is_refused_with_a_sentence(
    heal_event: Any, project_factory: Any, path: str
) -> None:
    """No patch; and when another frame is blamed instead, the evidence says why this one was passed over."""
    crash = "def f(v):\n    return 1 / len(v)\n"
    text = f"# @generated\n{crash}" if path.endswith("made.py") else crash
    files = {path: text, "shop/views.py": "import m\n\n\ndef g(v):\n    return 1 / m.f(v)\n"}
    project = project_factory(files, {"source": ["shop"]})
    line = text.count("\n")
    frames = tuple(
        Frame(path=str(project.root / name), function=function, span=Span(line=number), in_app=True)
        for name, function, number in (("shop/views.py", "g", 5), (path, "f", line))
    )
    raised = Raised(type="ZeroDivisionError", message="division by zero", frames=frames)
    event = Event(id="e", timestamp=0.0, fingerprint="f" * 16, exceptions=(raised,))
    done = heal_event(project, event)
    assert {edit.path for patch in done.patches for edit in patch.edits} <= {"shop/views.py"}
    evidence = {sentence for diagnosis in done.diagnoses for sentence in diagnosis.evidence}
    assert any(path in sentence and REFUSED[path] in sentence for sentence in evidence), evidence


def test_a_file_that_changed_is_relocated_or_refused(heal_event: Any, project_factory: Any) -> None:
    """The line is found again where it stands once; where it is gone or stands twice, nothing is patched."""
    line = "    return 1 / len(v)\n"
    for text, expected in (
        (f"import os\n\n\ndef f(v):\n{line}", 1),
        (f"import os\n\n\ndef f(v):\n{line}\n\ndef g(v):\n{line}", 0),
        ("import os\n\n\ndef f(v):\n    return 1 / max(len(v), 1)\n", 0),
    ):
        project = project_factory({"m.py": text})
        frame = Frame(path=str(project.root / "m.py"), function="f", span=Span(line=2), source_line=line, in_app=True)
        raised = Raised(type="ZeroDivisionError", message="division by zero", frames=(frame,))
        event = Event(id="e", timestamp=0.0, fingerprint="f" * 16, exceptions=(raised,))
        assert bool(heal_event(project, event).patches) is bool(expected), text
