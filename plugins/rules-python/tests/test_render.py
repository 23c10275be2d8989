"""Templates become syntax trees; a parameter can only be what it declares."""

from __future__ import annotations

import json
from typing import Any, Dict

import libcst as cst
import pytest

from homeostasis.errors import RuleError
from homeostasis.rules import Template, parse_template
from homeostasis_rules_python.render import check_template, render


def template(source: str, **types: str) -> Template:
    parameters: Dict[str, Any] = {name: {"type": kind} for name, kind in types.items()}
    return parse_template(
        json.dumps({"template_id": "t", "description": "d", "effect": "correct", "parameters": parameters}), source
    )


def code(rendered: Any) -> str:
    if isinstance(rendered, list):
        return cst.Module(body=rendered).code
    return cst.Module(body=[]).code_for_node(rendered)


def test_an_expression_gets_the_parentheses_that_it_needs() -> None:
    """Precedence is kept: the parameter stays one operand."""
    assert code(render(template("{{a}} * 2", a="expression"), {"a": "x + y"})) == "(x + y) * 2"
    assert code(render(template("f({{a}})", a="expression"), {"a": "x + y"})) == "f(x + y)"


def test_all_types() -> None:
    """Each parameter type gives its node."""
    made = template(
        "if {{name}} is None:\n    {{body}}\n{{statement}}\nlog({{value}}, {{text}})\n",
        name="identifier",
        body="code_block",
        statement="statement",
        value="literal",
        text="string",
    )
    given = {"name": "x", "body": "a()\nb()\n", "statement": "y = x", "value": [1, None], "text": "it's"}
    assert code(render(made, given)) == 'if x is None:\n    a()\n    b()\ny = x\nlog([1, None], "it\'s")\n'


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("expression", "a); import os; (b"),
        ("expression", "a = 1"),
        ("expression", "a\nb"),
        ("expression", 5),
        ("identifier", "a.b"),
        ("identifier", "class"),
        ("identifier", "a b"),
        ("literal", {"a": object}),
        ("literal", float("nan")),
        ("statement", "a\nb"),
        ("statement", ""),
        ("string", None),
    ],
)
def test_what_is_not_of_the_type_is_refused(kind: str, value: Any) -> None:
    """The message names the template and the parameter."""
    text = "{{a}}\n" if kind == "statement" else "f({{a}})"
    with pytest.raises(RuleError, match=f"template t: the parameter 'a' is no {kind}"):
        render(template(text, a=kind), {"a": value})


@pytest.mark.parametrize("text", ["'); exec('x", "a\\", '"""', "\n", "\u2028", "{x}", "{{a}}"])
def test_strings_are_data(text: str) -> None:
    """A string parameter is one literal that evaluates to the text, whatever it holds."""
    rendered = render(template("f({{a}})", a="string"), {"a": text})
    assert isinstance(rendered, cst.Call)
    literal = rendered.args[0].value
    assert isinstance(literal, cst.SimpleString)
    assert literal.evaluated_value == text


def test_only_a_name_stands_where_a_name_must() -> None:
    """An attribute cannot become an expression."""
    with pytest.raises(RuleError, match="stands where only a name can"):
        render(template("x.{{a}}", a="expression"), {"a": "b + c"})


@pytest.mark.parametrize("text", ["f('{{a}}')", "x = 1  # {{a}}\n"])
def test_a_placeholder_in_text_is_refused(text: str) -> None:
    """Nothing is ever put into a string or comment of a template."""
    with pytest.raises(RuleError, match="stands inside a string or comment"):
        check_template(template(text, a="expression"))


def test_statements_need_a_line_of_their_own() -> None:
    """A code block cannot stand inside an expression."""
    with pytest.raises(RuleError, match="line of its own"):
        render(template("f({{a}})", a="code_block"), {"a": "x = 1"})


def test_parameters_are_complete_and_known() -> None:
    """A missing parameter and one too many are both refused."""
    with pytest.raises(RuleError, match="needs the parameter 'a'"):
        render(template("f({{a}})", a="expression"), {})
    with pytest.raises(RuleError, match="has no parameter 'b'"):
        render(template("f({{a}})", a="expression"), {"a": "x", "b": "y"})
