"""A patched tree differs from its base by nothing but the nodes that the template declares, whatever the parameters."""

from __future__ import annotations

import ast
from typing import Any, Dict

import libcst as cst
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostasis.errors import RuleError
from homeostasis.rules import parse_template
from homeostasis_rules_python.code.tree import Tree
from homeostasis_rules_python.patching import apply_template

TEMPLATE = parse_template(
    '{"template_id": "t", "description": "d", "effect": "correct", "parameters": {'
    '"given": {"type": "literal"}, "text": {"type": "string"}, "name": {"type": "identifier"}}}',
    "{{name}} = f({{given}}, {{text}})\n",
)
BASE = "def f(*a):\n    return a\n\n\ndef g(x):\n    # here\n    y = x['k']  # there\n    return y\n"
QUOTES = ["'", '"', '"""', "\\", "\n", "{", "}", "#", "{{name}}", "<<<", "\x00", "\ud800", "\N{RIGHT-TO-LEFT OVERRIDE}"]
TEXT = st.lists(st.one_of(st.sampled_from(QUOTES), st.text(max_size=5)), max_size=6).map("".join)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False), TEXT
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)


def patched(parameters: Dict[str, Any]) -> str:
    tree = Tree("m.py", cst.parse_module(BASE))
    node = next(node for node in tree.all(cst.Subscript))
    edits = apply_template(TEMPLATE, parameters, tree, node)
    assert edits is not None
    return edits.module().code


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(value=JSON, text=TEXT)
def test_parameters_become_what_they_declare(value: Any, text: str) -> None:
    """Exactly one statement is new; its literal and its string read back as what was given, and no byte else changed."""
    try:
        after = patched({"given": value, "text": text, "name": "y"})
    except RuleError:
        return
    base, tree = ast.parse(BASE), ast.parse(after)
    old, new = base.body[1].body, tree.body[1].body  # type: ignore[attr-defined]
    assert ast.dump(tree.body[0]) == ast.dump(base.body[0])
    assert ast.dump(new[-1]) == ast.dump(old[-1])
    assert len(new) == len(old)
    call = new[0].value
    assert (ast.literal_eval(call.args[0]), ast.literal_eval(call.args[1])) == (value, text)
    lines = after.split("\n")
    assert "\n".join([*lines[:6], *lines[7:]]) == "\n".join([*BASE.split("\n")[:6], *BASE.split("\n")[7:]])


@settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(name=TEXT)
def test_an_identifier_is_a_name_or_refused(name: str) -> None:
    """Hostile text never becomes the target of an assignment as anything but a name."""
    try:
        after = patched({"given": 1, "text": "", "name": name})
    except RuleError as error:
        assert "identifier" in str(error)
        return
    (target,) = ast.parse(after).body[1].body[0].targets  # type: ignore[attr-defined]
    assert isinstance(target, ast.Name)


@pytest.mark.parametrize("text", QUOTES)
def test_hostile_text_is_not_refused_but_quoted(text: str) -> None:
    """Whatever an attacker writes can stand in a string."""
    tree = ast.parse(patched({"given": [text, {text: text}], "text": text, "name": "y"}))
    call = tree.body[1].body[0].value  # type: ignore[attr-defined]
    assert [ast.literal_eval(arg) for arg in call.args] == [[text, {text: text}], text]
