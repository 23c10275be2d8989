"""Refactors for what setuptools and pydantic took away."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.modules import dotted
from homeostasis_rules_python.code.tree import dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.libraryupgrades import root_field, versions_asked
from homeostasis_rules_python.refactors.base import Change, register


@register
class MetadataVersion:
    """The version of a distribution, asked of `pkg_resources`."""

    refactor_id = "metadata-version"
    needs = ("upgrade",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`version(x)` of `importlib.metadata` for `pkg_resources.get_distribution(x).version`."""
        tree, node = facts.site.tree, facts.node
        wanted = NewImport("importlib.metadata", "version")
        line = tree.parent(node)
        alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
        named = node.names if isinstance(node, (cst.Import, cst.ImportFrom)) else ()
        if not alone or isinstance(named, cst.ImportStar) or len(named) != 1 or conflicts(tree, wanted):
            return
        edits = Edits(tree)
        edits.replace(node, cst.ImportFrom(module=dotted(wanted.module), names=[cst.ImportAlias(cst.Name("version"))]))
        for use in versions_asked(tree) or ():
            edits.replace(use, use.value.with_changes(func=cst.Name("version")))
        evidence = "`importlib.metadata` of the standard library has told versions since Python 3.8"
        yield Change.because((edits,), Effect.CORRECT, "Ask importlib.metadata for the version", evidence)


@register
class RootModel:
    """A model of pydantic 1 with a field `__root__`."""

    refactor_id = "pydantic-root-model"
    needs = ("leftover",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`class A(RootModel[T])`, and `root` wherever the app asks for `__root__`."""
        tree, cls = facts.site.tree, facts.node
        field = root_field(cls) if isinstance(cls, cst.ClassDef) else None
        wanted = NewImport("pydantic", "RootModel")
        if not isinstance(cls, cst.ClassDef) or field is None or conflicts(tree, wanted):
            return
        edits = Edits(tree)
        index = cst.SubscriptElement(cst.Index(field.annotation.annotation))
        edits.replace(cls.bases[0].value, cst.Subscript(cst.Name("RootModel"), [index]))
        line = tree.parent(field)
        alone = len(cls.body.body) == 1
        edits.replace(line or field, cst.parse_statement("pass") if alone else cst.RemoveFromParent())  # type: ignore[arg-type]
        edits.add_imports([wanted])
        changed = {tree.path: edits}
        for other in facts.case.trees(b"__root__"):
            for use in other.all(cst.Attribute):
                if use.attr.value == "__root__":
                    changed.setdefault(other.path, Edits(other)).replace(use.attr, cst.Name("root"))
            for arg in other.all(cst.Arg):
                if arg.keyword is not None and arg.keyword.value == "__root__":
                    changed.setdefault(other.path, Edits(other)).replace(arg.keyword, cst.Name("root"))
        evidence = "pydantic 2 has `RootModel` for a model of one value, which it holds as `root`"
        yield Change.because(tuple(changed.values()), Effect.CORRECT, "Make it a RootModel", evidence)


@register
class LiteralField:
    """A field that can have one value only, as pydantic 1 wrote it."""

    refactor_id = "pydantic-literal"
    needs = ("leftover",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`kind: Literal["a"] = "a"` for `kind: str = Field("a", const=True)`."""
        tree, call = facts.site.tree, facts.node
        field = tree.parent(call)
        wanted = NewImport("typing", "Literal")
        if not isinstance(call, cst.Call) or not isinstance(field, cst.AnnAssign) or conflicts(tree, wanted):
            return
        value = call.args[0].value
        kept = [arg for arg in call.args if arg.keyword is None or arg.keyword.value != "const"]
        kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        edits = Edits(tree)
        index = cst.SubscriptElement(cst.Index(value))
        edits.replace(field.annotation.annotation, cst.Subscript(cst.Name("Literal"), [index]))
        edits.replace(call, value if len(kept) == 1 else call.with_changes(args=kept))
        edits.add_imports([wanted])
        evidence = "pydantic 2 has no `const`, and says to use `Literal` instead"
        summary = f"Let `{dotted_name(field.target)}` be nothing else than {tree.code(value)}"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)
