"""Refactor for code that was written for pydantic 1 and that pydantic 2 refuses."""

from __future__ import annotations

from typing import Iterator, List

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, expression, statements
from homeostasis_rules_python.code.imports import NewImport
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.emptied import keyword_argument, with_argument


@register
class FinishMigration:
    """Code for pydantic 1 that pydantic 2 refuses."""

    refactor_id = "finish-migration"
    needs = ("leftover",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """What the migration guide of pydantic says to write instead, in all of the file."""
        edits = Edits(facts.site.tree)
        made = {
            "root_validator": _skip_on_failure,
            "regex": _pattern,
            "unannotated": _annotate,
            "settings": _settings,
            "dumps": _dump,
            "info": _info_data,
            "response_model": _no_response_model,
        }.get(facts.values["leftover"])
        told = made(facts, edits) if made is not None else None
        if told is not None:
            summary, evidence = told
            yield Change.because([edits], Effect.CORRECT, summary, evidence)


def _skip_on_failure(facts: Facts, edits: Edits) -> tuple[str, str] | None:
    changed = False
    for decorator in facts.site.tree.all(cst.Decorator):
        node = decorator.decorator
        call = node if isinstance(node, cst.Call) else None
        if (dotted_name(call.func if call is not None else node) or "").split(".")[-1] != "root_validator":
            continue
        given = {arg.keyword.value for arg in call.args if arg.keyword is not None} if call is not None else set()
        if given & {"pre", "skip_on_failure"}:
            continue
        argument = keyword_argument("skip_on_failure", cst.Name("True"))
        if call is not None:
            edits.replace(call, with_argument(call, argument) if call.args else call.with_changes(args=[argument]))
        else:
            edits.replace(node, cst.Call(node, [argument]))
        changed = True
    evidence = "pydantic 2 asks of a root validator that it is skipped when a field failed"
    return ("Skip root validators when a field failed", evidence) if changed else None


def _pattern(facts: Facts, edits: Edits) -> tuple[str, str] | None:
    changed = False
    for call in facts.site.tree.all(cst.Call):
        if called_name(call) not in ("Field", "constr", "Query", "Path", "Body", "Header", "Form", "Cookie"):
            continue
        for arg in call.args:
            if arg.keyword is not None and arg.keyword.value == "regex":
                edits.replace(arg.keyword, cst.Name("pattern"))
                changed = True
    return ("Say `pattern` for `regex`", "pydantic 2 calls the argument `pattern`") if changed else None


def _annotate(facts: Facts, edits: Edits) -> tuple[str, str] | None:
    name = facts.values["attribute"]
    for item in facts.site.tree.all(cst.Assign):
        owner = facts.site.tree.enclosing(item, (cst.ClassDef, cst.FunctionDef))
        known, value = literal_of(item.value)
        if (
            dotted_name(item.targets[0].target) != name
            or not isinstance(owner, cst.ClassDef)
            or not known
            or value is None
        ):
            continue
        kind = type(value).__name__
        edits.replace(item, cst.AnnAssign(cst.Name(name), cst.Annotation(cst.Name(kind)), item.value))
        return f"Annotate `{name}` as {kind}", f"`{name}` is a field with the default {value!r:.60}, a {kind}"
    return None


def _settings(facts: Facts, edits: Edits) -> tuple[str, str] | None:
    tree = facts.site.tree
    for item in tree.all(cst.ImportFrom):
        if dotted_name(item.module) != "pydantic" or isinstance(item.names, cst.ImportStar):
            continue
        kept: List[cst.ImportAlias] = [alias for alias in item.names if alias.evaluated_name != "BaseSettings"]
        if len(kept) == len(item.names) or any(alias.asname for alias in item.names if alias not in kept):
            continue
        if not kept:
            edits.replace(
                item,
                cst.ensure_type(
                    statements("from pydantic_settings import BaseSettings\n")[0], cst.SimpleStatementLine
                ).body[0],
            )
        else:
            kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            edits.replace(item, item.with_changes(names=kept))
            edits.add_imports([NewImport("pydantic_settings", "BaseSettings")])
        return "Import `BaseSettings` from pydantic-settings", "pydantic 2 keeps `BaseSettings` in a package of its own"
    return None


_KEPT = frozenset(("indent", "include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none"))


def _dump(facts: Facts, edits: Edits) -> tuple[str, str] | None:
    call = facts.node
    if not isinstance(call, cst.Call) or called_name(call) != "json" or not isinstance(call.func, cst.Attribute):
        return None
    given = {arg.keyword.value for arg in call.args if arg.keyword is not None}
    if given <= _KEPT:
        edits.replace(call.func.attr, cst.Name("model_dump_json"))
    elif not given & (_KEPT - {"indent"}) and given <= {"indent", "sort_keys", "ensure_ascii", "separators"}:
        value = cst.Call(
            cst.Attribute(call.func.value, cst.Name("model_dump")), [keyword_argument("mode", expression("'json'"))]
        )
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        edits.replace(call, cst.Call(expression("json.dumps"), [cst.Arg(value, comma=comma), *call.args]))
        edits.add_imports([NewImport("json")])
    else:
        return None
    return "Write the model as JSON in the way of pydantic 2", "pydantic 2 passes no arguments on to `json.dumps`"


def _info_data(facts: Facts, edits: Edits) -> tuple[str, str] | None:
    function = facts.site.function
    names = [item.name.value for item in parameters(function)] if function is not None else []
    if function is None or len(names) < 3:
        return None
    info = names[2]
    used = [name for name in facts.site.tree.all(cst.Name, function.body) if name.value == info]
    if not used or any(isinstance(facts.site.tree.parent(name), cst.AssignTarget) for name in used):
        return None
    for name in used:
        parent = facts.site.tree.parent(name)
        if isinstance(parent, cst.Attribute) and parent.attr.value in (
            "data",
            "context",
            "mode",
            "field_name",
            "config",
        ):
            continue
        if isinstance(parent, cst.Arg) and parent.keyword is name:
            continue
        edits.replace(name, cst.Attribute(cst.Name(info), cst.Name("data")))
    return (
        f"Read the other fields from `{info}.data`",
        "pydantic 2 gives a validator an object that holds the fields in `data`",
    )


def _no_response_model(facts: Facts, edits: Edits) -> tuple[str, str] | None:
    call = facts.nodes["route"]
    if not isinstance(call, cst.Call):
        return None
    edits.replace(call, with_argument(call, keyword_argument("response_model", cst.Name("None"))))
    return "Make no response model of the annotation", "the return annotation is no field that pydantic knows"
