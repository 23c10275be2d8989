"""Refactors for what Flask 2.3 and the end of distutils took away."""

from __future__ import annotations

from typing import Iterator, List

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, expression, statements
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.flaskupgrades import STACKS, delegation, encoders, is_top
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.upgrades import elsewhere, move_others


def _without(edits: Edits, node: cst.ImportFrom, names: List[str]) -> bool:
    """Take names out of an import, with the import if nothing is left of it."""
    line = edits.tree.parent(node)
    if isinstance(node.names, cst.ImportStar) or not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return False
    kept = [alias for alias in node.names if alias.evaluated_name not in names]
    if not kept:
        edits.replace(line, cst.RemoveFromParent())  # type: ignore[arg-type]
        return True
    kept[-1] = kept[-1].with_changes(comma=node.names[-1].comma)
    edits.replace(node, node.with_changes(names=kept))
    return True


@register
class FlaskProvider:
    """An encoder of JSON as Flask took it before 2.3."""

    refactor_id = "flask-json-provider"
    needs = ("upgrade",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The class derives from `DefaultJSONProvider`; what was set as `json_encoder` becomes the app's `json`."""
        tree, node = facts.site.tree, facts.node
        wanted = NewImport("flask.json.provider", "DefaultJSONProvider")
        if not isinstance(node, cst.ImportFrom) or conflicts(tree, wanted):
            return
        edits = Edits(tree)
        if not _without(edits, node, ["JSONEncoder"]):
            return
        names = [each.name.value for each in encoders(tree)]
        for each in encoders(tree):
            edits.replace(each.bases[0].value, cst.Name("DefaultJSONProvider"))
        for use in tree.all(cst.Name):
            call = delegation(tree, use) if use.value == "JSONEncoder" else None
            if call is not None:
                edits.replace(call, call.with_changes(func=expression("super().default"), args=[call.args[1]]))
        edits.add_imports([wanted])
        others = [Edits(each) for each in facts.case.trees(b"json_encoder") if each is not tree]
        placed = [each for each in (edits, *others) if _install(each, names)]
        if placed:
            evidence = "since Flask 2.2 the app's `json` writes JSON, and a provider's `default` is the encoder's"
            changed = [edits, *(each for each in placed if each is not edits)]
            yield Change.because(changed, Effect.CORRECT, "Make the JSON encoder a provider", evidence)


def _install(edits: Edits, names: List[str]) -> bool:
    """Write `app.json = Encoder(app)` for `app.json_encoder = Encoder`; whether the file has one."""
    placed = False
    for assign in edits.tree.all(cst.Assign):
        target = assign.targets[0].target
        named = (dotted_name(assign.value) or "").split(".")[-1]
        if not isinstance(target, cst.Attribute) or target.attr.value != "json_encoder" or named not in names:
            continue
        edits.replace(target, target.with_changes(attr=cst.Name("json")))
        edits.replace(assign.value, cst.Call(assign.value, [cst.Arg(target.value)]))
        placed = True
    return placed


@register
class FlaskContext:
    """The top of a stack of contexts, which Flask 2.3 does not have."""

    refactor_id = "flask-context"
    needs = ("upgrade",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The context of `flask.globals`; where it is kept or compared, None outside of a request as before."""
        tree, node = facts.site.tree, facts.node
        edits = Edits(tree)
        if not isinstance(node, cst.ImportFrom):
            return
        imports: List[NewImport] = []
        for name, (context, known) in STACKS.items():
            for use in tree.all(cst.Name):
                top = tree.parent(use)
                if use.value != name or not isinstance(top, cst.Attribute) or not is_top(tree, use):
                    continue
                imports.append(NewImport("flask.globals", context))
                if isinstance(tree.parent(top), cst.Attribute):
                    edits.replace(top, cst.Name(context))
                    continue
                imports.append(NewImport("flask", known))
                edits.replace(top, expression(f"{context} if {known}() else None"))
        if not imports or any(conflicts(tree, each) for each in imports) or not _without(edits, node, list(STACKS)):
            return
        edits.add_imports(imports)
        move_others(facts, edits)
        evidence = "`flask.globals` has the context that was on top of the stack"
        changed = [edits, *elsewhere(facts, [edits])]
        yield Change.because(changed, Effect.CORRECT, "Use the contexts of flask.globals", evidence)


@register
class FlaskConfigured:
    """An attribute of the app that was only another name for a key of its configuration."""

    refactor_id = "flask-configured"
    needs = ("attribute", "configured")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`app.config["KEY"]`, wherever the app's files read or set the attribute."""
        attribute, key = facts.values["attribute"], facts.values["configured"]
        made = []
        for tree in facts.case.trees(attribute.encode("utf-8")):
            found = [use for use in tree.all(cst.Attribute) if use.attr.value == attribute and _is_app(use.value)]
            edits = Edits(tree)
            for use in found:
                config = cst.Attribute(use.value, cst.Name("config"))
                index = cst.SubscriptElement(cst.Index(cst.SimpleString(f'"{key}"')))
                edits.replace(use, cst.Subscript(config, [index]))
            made += [edits] if found else []
        if made:
            evidence = f"`{attribute}` of the app was another name for `{key}` of its configuration"
            yield Change.because(made, Effect.CORRECT, f"Read `{key}` from the configuration of the app", evidence)


def _is_app(owner: cst.BaseExpression) -> bool:
    return (dotted_name(owner) or "").split(".")[-1] in ("app", "current_app", "application", "_app", "flask_app")


@register
class FlaskFirstRequest:
    """What was to run before the first request."""

    refactor_id = "flask-first-request"
    needs = ("first_request",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The function without the decorator, called in the context of the app when the app is made."""
        tree, name = facts.site.tree, facts.values["first_request"]
        function = tree.parent(tree.parent(facts.node) or facts.node)
        owner = facts.node.value if isinstance(facts.node, cst.Attribute) else None
        if not isinstance(function, cst.FunctionDef) or owner is None or function.params.params:
            return
        if function.asynchronous is not None:  # a plain call would only make a coroutine
            return
        lines = statements(f"with {tree.code(owner)}.app_context():\n    {name}()\n")
        kept = [mark for mark in function.decorators if mark.decorator is not facts.node]
        edits = Edits(tree)

        def without(now: cst.FunctionDef) -> cst.FlattenSentinel[cst.BaseStatement]:
            return cst.FlattenSentinel([now.with_changes(decorators=kept), *lines])

        edits.wrap(function, without)
        evidence = "Flask 2.3 has no hook for the first request; what prepares the app runs when it is made"
        summary = f"Call `{name}` when the app is made"
        # What is defined or configured further down is not there yet when the module is imported.
        yield Change.because((edits,), Effect.CORRECT, summary, evidence, 1.0, Risk.HIGH)


_STRTOBOOL = '''\
def {name}(value):
    """1 for y, yes, t, true, on and 1; 0 for n, no, f, false, off and 0."""
    value = value.lower()
    if value in ("y", "yes", "t", "true", "on", "1"):
        return 1
    if value in ("n", "no", "f", "false", "off", "0"):
        return 0
    raise ValueError(f"invalid truth value {{value!r}}")
'''


@register
class OwnStrtobool:
    """`distutils.util.strtobool`, which has no successor."""

    refactor_id = "own-strtobool"
    needs = ("upgrade",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A function of that name in the place of the import, or behind the imports of the module."""
        tree, node = facts.site.tree, facts.node
        line = tree.parent(node)
        if not isinstance(node, cst.ImportFrom) or isinstance(node.names, cst.ImportStar):
            return
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
            return
        name = node.names[0].evaluated_alias or "strtobool"
        made = cst.ensure_type(statements(_STRTOBOOL.format(name=name))[0], cst.FunctionDef)
        edits = Edits(tree)
        if isinstance(tree.parent(line), cst.Module):
            apart = made.with_changes(leading_lines=[cst.EmptyLine(indent=False)] * 2)
            last = _last_import(tree)
            if last is line:
                edits.replace(line, apart)
            else:
                edits.replace(line, cst.RemoveFromParent())  # type: ignore[arg-type]
                edits.insert_after(last, [apart])
        else:
            edits.replace(line, made.with_changes(leading_lines=line.leading_lines))
        evidence = "`strtobool` was removed with distutils and has no successor in the standard library"
        yield Change.because([edits], Effect.CORRECT, "Define strtobool, which was removed", evidence)


def _last_import(tree: Tree) -> cst.CSTNode:
    lines = [each for each in tree.module.body if isinstance(each, cst.SimpleStatementLine)]
    return [each for each in lines if isinstance(each.body[0], (cst.Import, cst.ImportFrom))][-1]
