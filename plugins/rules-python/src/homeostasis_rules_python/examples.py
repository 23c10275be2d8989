r"""Running the examples of rules and templates: tests and `homeostasis rules test` use the same runner.

The `input` of a rule's example is a compact event (`homeostasis.rules.rule.ExampleInput`)::

    {"error": {"type": "KeyError", "message": "'price'"},
     "code": "def total(order):\n    return <<<order['price']>>> * 2\n",
     "locals": {"order": {"id": 1}},
     "request": {"method": "POST", "path": "/orders", "json": {"id": 1}},
     "framework": "flask"}

The failing expression of `code` stands between `<<<` and `>>>`. Several marked expressions are the frames of that file,
innermost first. `callers` adds outer frames in other files, outermost
first, and `files` further files of the project.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Tuple

import libcst as cst

from homeostasis.config import Config
from homeostasis.errors import RuleError
from homeostasis.models import Diagnosis, Incident, Patch
from homeostasis.project import Project
from homeostasis.rules import Rule, RuleExample, Template, TemplateExample, TemplateRegistry
from homeostasis.rules.rule import ExampleInput
from homeostasis.source import SourceTree
from homeostasis_rules_python.analyze import diagnose
from homeostasis_rules_python.catalog import shipped_templates
from homeostasis_rules_python.code.tree import Tree
from homeostasis_rules_python.example_event import example_event, unmarked
from homeostasis_rules_python.patching import apply_template, patches


@dataclass(frozen=True)
class ExampleResult:
    """Whether an example held; `detail` says what was expected and seen if not."""

    number: int
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class Healed:
    """What an example led to."""

    diagnosis: Diagnosis | None
    patches: Tuple[Patch, ...]


def run_rule_examples(
    rule: Rule, templates: TemplateRegistry | None = None, *, columns: bool = True
) -> List[ExampleResult]:
    """Run all examples of a rule.

    Args:
        rule: the rule.
        templates: where its template is looked up; by default those of this package.
        columns: whether the events know columns, or lines only.
    """
    known = shipped_templates() if templates is None else templates
    return [_rule_result(rule, number, example, known, columns) for number, example in enumerate(rule.examples, 1)]


def run_template_examples(template: Template) -> List[ExampleResult]:
    """Run all examples of a template."""
    return [_template_result(template, number, example) for number, example in enumerate(template.examples, 1)]


def heal_example(rule: Rule, given: ExampleInput, templates: TemplateRegistry, *, columns: bool = True) -> Healed:
    """Diagnose and patch one example in a temporary project."""
    with tempfile.TemporaryDirectory(prefix="homeostasis-example-") as directory:
        root = Path(directory).resolve()
        event = example_event(given, root, columns=columns)
        source = SourceTree(Project(root=root, config=Config()))
        incident = Incident(
            id="example", fingerprint=event.fingerprint, service="example", event=event, first_seen=0.0, last_seen=0.0
        )
        found = diagnose(incident, source, [rule])
        return Healed(found[0], tuple(patches(found[0], incident, source, templates))) if found else Healed(None, ())


def _rule_result(
    rule: Rule, number: int, example: RuleExample, templates: TemplateRegistry, columns: bool
) -> ExampleResult:
    try:
        healed = heal_example(rule, example.input, templates, columns=columns)
    except (RuleError, ValueError) as error:
        return ExampleResult(number, False, str(error))
    problem = next(_problems(example, healed, patched=rule.fix.refactor != "diagnose-only"), "")
    return ExampleResult(number, not problem, problem)


def _problems(example: RuleExample, healed: Healed, *, patched: bool) -> Iterator[str]:
    matched = healed.diagnosis is not None
    if matched != example.expected_match:
        yield "it matched and must not" if matched else "it did not match"
    if healed.diagnosis is None:
        return
    given = healed.diagnosis.fix.parameters
    for name, value in example.expected_parameters.items():
        if given.get(name) != value:
            yield f"the parameter {name} is {given.get(name)!r}, expected {value!r}"
    if example.expected_match and patched and not healed.patches:
        yield "it matched, but no patch could be made"
    if example.expected_code is not None and healed.patches:
        after = "".join(edit.after.decode("utf-8") for edit in healed.patches[0].edits)
        if example.expected_code not in after:
            yield f"the patched code does not hold {example.expected_code!r}:\n{healed.patches[0].diff}"


def _template_result(template: Template, number: int, example: TemplateExample) -> ExampleResult:
    try:
        code, spans = unmarked(example.before)
        tree = Tree("example.py", cst.parse_module(code))
        node = tree.at(spans[0], (cst.BaseExpression, cst.SimpleStatementLine))[0]
        edits = apply_template(template, dict(example.parameters), tree, node)
    except (RuleError, ValueError, IndexError, cst.ParserSyntaxError) as error:
        return ExampleResult(number, False, str(error))
    if edits is None:
        return ExampleResult(number, False, "the template could not be put in the place of what is marked")
    after = edits.module().code
    return ExampleResult(number, after == example.after, "" if after == example.after else f"it gave:\n{after}")
