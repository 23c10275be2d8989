"""Refactors for models that were written for pydantic 1, and for values that do not fit a model."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.code.imports import NewImport, bound_module_name
from homeostasis_rules_python.code.known import Class, app_class
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.models import annotated_field
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.emptied import keyword_argument, with_argument
from homeostasis_rules_python.refactors.placement import Guard, refusals


@register
class RefuseInvalid:
    """Data of the client that does not fit a model."""

    refactor_id = "refuse-invalid"
    needs = ("home", "data_origin")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`try` around the validation and nothing else."""
        home, model = facts.values["home"], facts.values["model"]
        module = bound_module_name(facts.site.tree, home)
        name = f"{module}.ValidationError" if module is not None else "ValidationError"
        said = f"the body is not a valid {model}" if model else "the body is not valid"
        guard = Guard(
            parts=(facts.expression,),
            test="not {}".format,
            exception=name,
            status=400,
            message=said,
            summary=f"Refuse requests that do not fit {model or 'the schema'}",
            prefer_try=True,
            subject=(model or "data").lower(),
            imports=() if module is not None else (NewImport(home, "ValidationError"),),
            sayable=False,
        )
        yield from refusals(facts, guard)


@register
class OptionalDefault:
    """`Optional[X]` without a default, which pydantic 1 took for None and pydantic 2 requires."""

    refactor_id = "optional-default"
    needs = ("owner", "fields")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`= None` behind the fields that are missing and may be None."""
        found = app_class(facts.case, facts.values["owner"])
        fields = [annotated_field(found, name) for name in facts.values["fields"]] if found is not None else []
        if found is None or not fields or not facts.values["optional"]:
            return
        edits = Edits(found[0])
        bare = cst.SimpleWhitespace(" ")
        for field in fields:
            if field is not None:
                equal = cst.AssignEqual(whitespace_before=bare, whitespace_after=bare)
                edits.replace(field, field.with_changes(value=cst.Name("None"), equal=equal))
        names = ", ".join(facts.values["fields"])
        evidence = f"{names} of `{facts.values['owner']}` may be None, which pydantic 1 took for the default"
        yield Change.because([edits], Effect.CORRECT, f"Let {names} be None by default", evidence)


def _configured(tree: Tree, definition: cst.ClassDef) -> cst.BaseExpression | cst.ClassDef | None:
    """The `ConfigDict(...)` or dict of `model_config`, or the inner class `Config`."""
    for item in tree.all(cst.Assign, definition.body):
        if dotted_name(item.targets[0].target) == "model_config":
            return item.value
    for inner in tree.all(cst.ClassDef, definition.body):
        if inner is not definition and inner.name.value == "Config":
            return inner
    return None


def set_option(edits: Edits, found: Class, name: str) -> bool:
    """Set an option of a model to True, in the configuration that it has or in a new one."""
    tree, definition = found
    configured = _configured(tree, definition)
    if isinstance(configured, cst.Call):
        argument = keyword_argument(name, cst.Name("True"))
        edits.replace(
            configured,
            with_argument(configured, argument) if configured.args else configured.with_changes(args=[argument]),
        )
        return True
    if isinstance(configured, cst.ClassDef):
        renamed = [
            item for item in tree.all(cst.Assign, configured.body) if dotted_name(item.targets[0].target) == "orm_mode"
        ]
        if name == "from_attributes" and renamed:
            edits.replace(renamed[0].targets[0].target, cst.Name(name))
            return True
        line = configured.body.body[0]
        if not isinstance(line, cst.SimpleStatementLine):
            return False
        edits.insert_before(line, statements(f"{name} = True\n"))
        return True
    if configured is not None or not isinstance(definition.body, cst.IndentedBlock):
        return False
    body = definition.body.body
    start = 1 if definition.get_docstring() is not None and len(body) > 1 else 0
    line = body[start]
    if not isinstance(line, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
        return False
    edits.insert_before(line, statements(f"model_config = ConfigDict({name}=True)\n"))
    edits.add_imports([NewImport("pydantic", "ConfigDict")])
    return True


@register
class ReadAttributes:
    """A model that is made from an object, which pydantic 2 must be told."""

    refactor_id = "read-attributes"
    needs = ()

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`orm_mode` becomes `from_attributes`, or a `model_config` with it is added."""
        name = facts.values.get("owner") or facts.values.get("model") or _class_called(facts)
        found = app_class(facts.case, name) if name else None
        if found is None:
            return
        edits = Edits(found[0])
        if set_option(edits, found, "from_attributes"):
            evidence = f"`{name}` is made from an object, and pydantic 2 calls the permission `from_attributes`"
            yield Change.because([edits], Effect.CORRECT, f"Let `{name}` be read from attributes", evidence)


def _class_called(facts: Facts) -> str | None:
    """`Item` of `Item.from_orm(...)`."""
    node = facts.node
    owner = node.func.value if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) else None
    return (dotted_name(owner) or "").split(".")[-1] or None


@register
class NumbersAsText:
    """A number for a field that is a text, which pydantic 1 converted."""

    refactor_id = "numbers-as-text"
    needs = ("owner", "fields")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`coerce_numbers_to_str=True` in the model's configuration."""
        name = facts.values["owner"]
        found = app_class(facts.case, name)
        if found is None:
            return
        edits = Edits(found[0])
        if set_option(edits, found, "coerce_numbers_to_str"):
            fields = ", ".join(facts.values["fields"])
            evidence = f"{fields} of `{name}` is a text and was given a number, which pydantic 1 converted"
            yield Change.because(
                [edits], Effect.CORRECT, f"Let `{name}` take numbers for texts", evidence, risk=Risk.MEDIUM
            )
