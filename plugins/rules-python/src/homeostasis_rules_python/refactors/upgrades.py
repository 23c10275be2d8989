"""Refactors for names that an upgrade took away: all uses in the file move to the successor at once."""

from __future__ import annotations

from typing import Iterable, Iterator, List, Sequence

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, expression
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.installed import lacks, module_file, since
from homeostasis_rules_python.code.moving import move_names, rename_module, uses_of
from homeostasis_rules_python.code.removed import MODULES, NAMES
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.upgrades import passing
from homeostasis_rules_python.refactors.base import Change, register


@register
class ReplaceRemovedName:
    """A removed name of a module, or a removed module."""

    refactor_id = "replace-removed-name"
    needs = ("old_module",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """Import the successors and use them wherever the file used what is gone."""
        module, name = facts.values["old_module"], facts.values["old_name"]
        edits = Edits(facts.site.tree)
        if not _move(edits, module, name):
            return
        move_others(facts, edits, besides=module)
        gone = f"{module}.{name}" if name is not None else module
        evidence = f"`{gone}` was removed, and {_successors(module, name)} does the same"
        summary = f"Replace `{gone}`, which was removed"
        others = list(_other_files(facts, module, name))
        for other in others:
            move_others(facts, other, besides=module)
        others += elsewhere(facts, [edits, *others])
        files = f"{len(others)} other file{'s' if len(others) > 1 else ''}"
        more = (f"{files} would have failed next",) if others else ()
        yield Change(
            (edits, *others),
            Effect.CORRECT,
            summary,
            f"{evidence}.",
            evidence=(evidence, *more),
        )


def _move(edits: Edits, module: str, name: str | None) -> bool:
    """Whether everything that a file uses of a module and that is gone could be replaced."""
    if module in MODULES:
        return rename_module(edits, module, MODULES[module][1])
    return move_names(edits, module, whole=name is None)


def _other_files(facts: Facts, module: str, name: str | None) -> Iterator[Edits]:
    """The same in the other files of the app that import the module when they are imported themselves."""
    for tree in without_tests(facts.case.trees(module.split(".")[-1].encode("utf-8")), facts.site.tree):
        if tree is facts.site.tree or not _fails(tree, module, name):
            continue
        edits = Edits(tree)
        if _move(edits, module, name):
            yield edits


GONE_SINCE = {"collections": (3, 10), "cgi": (3, 8), "inspect": (3, 11), "fractions": (3, 9), "base64": (3, 9)}
"""Modules of the standard library that lost names, all those of `NAMES`, with the version that removed them."""


def elsewhere(facts: Facts, edited: Sequence[Edits]) -> List[Edits]:
    """Edits of the other files of the app that import what the installed versions of libraries lack."""
    done = {edits.tree.path for edits in edited}
    found: List[Edits] = []
    for mark in _marks(facts):
        for tree in without_tests(facts.case.trees(mark), facts.site.tree):
            if tree.path in done:
                continue
            done.add(tree.path)
            edits = Edits(tree)
            found += [edits] if move_others(facts, edits) else []
    return found


def _marks(facts: Facts) -> Iterator[bytes]:
    """What a file must hold to be looked at: a library that is installed, or a use of what Python removed."""
    for module in dict.fromkeys(module for module, _name in NAMES):
        if _is_gone(facts, module):
            yield f"from {module} import".encode()
            for owner, name in NAMES:
                if owner == module:
                    yield f"{module}.{name}".encode()
        elif module_file(facts.case, module) is not None:
            yield module.encode("utf-8")


def _is_gone(facts: Facts, module: str) -> bool:
    return module in GONE_SINCE and since(facts.case, *GONE_SINCE[module])


def move_others(facts: Facts, edits: Edits, *, besides: str | None = None) -> bool:
    """Move what else a file imports that the installed versions of libraries lack, so that it can be imported at all.

    Args:
        facts: of the crash.
        edits: of the file.
        besides: a module that was moved already.

    Returns:
        Whether there was something to move.
    """
    moved = False
    for module in dict.fromkeys(_lacking(facts, edits.tree)):
        if module != besides:
            moved = move_names(edits, module, whole=False) or moved
    return moved


def _lacking(facts: Facts, tree: Tree) -> Iterator[str]:
    """Modules of which a file imports or uses removed names, outside of a `try`: that would know that they may fail."""
    for node in tree.all(cst.ImportFrom):
        module = dotted_name(node.module) if not node.relative else None
        if module is None or isinstance(node.names, cst.ImportStar) or tree.enclosing(node, cst.Try) is not None:
            continue
        known = [alias.evaluated_name for alias in node.names if (module, alias.evaluated_name) in NAMES]
        gone = _is_gone(facts, module)
        if known and (gone or all(lacks(facts.case, module, each) for each in known)):
            yield module
    for use in tree.all(cst.Attribute):
        module = use.value.value if isinstance(use.value, cst.Name) else None
        used = module is not None and (module, use.attr.value) in NAMES and _is_gone(facts, module)
        if used and module is not None and tree.enclosing(use, cst.Try) is None:
            yield module


def _fails(tree: Tree, module: str, name: str | None) -> bool:
    """Whether a file uses what is gone, and does not know that it may be: no `try` stands around the import."""
    gone = {old for owner, old in NAMES if owner == module} if name is not None else None
    uses: List[cst.CSTNode] = [
        plain for plain in tree.all(cst.Import) if any(alias.evaluated_name == module for alias in plain.names)
    ]
    for node in tree.all(cst.ImportFrom):
        names = () if isinstance(node.names, cst.ImportStar) else node.names
        if not node.relative and dotted_name(node.module) == module:
            uses += [node] if gone is None or any(alias.evaluated_name in gone for alias in names) else []
    return bool(uses) and all(tree.enclosing(node, cst.Try) is None for node in uses)


def _successors(module: str, name: str | None) -> str:
    if module in MODULES:
        return f"`{MODULES[module][1]}`"
    named = [new for (owner, old), new in NAMES.items() if owner == module and name in (None, old)]
    return ", ".join(f"`{'.'.join(part for part in (new.module, new.name) if part)}`" for new in named[:3])


@register
class ReplaceRemovedMethod:
    """A removed method."""

    refactor_id = "replace-removed-method"
    needs = ("successor",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The method, function or operator that does the same."""
        call, successor = facts.node, facts.values["successor"]
        if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute):
            return
        edits = Edits(facts.site.tree)
        if successor == "in":
            if len(call.args) != 1:
                return
            target = cst.ComparisonTarget(cst.In(), call.func.value)
            edits.replace(call, cst.Comparison(call.args[0].value, [target]))
        elif successor == "list()":
            edits.replace(call, cst.Call(cst.Name("list"), [cst.Arg(call.func.value)]))
        elif successor == "html.unescape()":
            if conflicts(facts.site.tree, NewImport("html")):
                return
            edits.replace(call, call.with_changes(func=expression("html.unescape")))
            edits.add_imports([NewImport("html")])
        else:
            edits.replace(call.func.attr, cst.Name(successor))
        old = facts.values["old_name"]
        evidence = f"Python 3 removed `{old}` and has `{successor}` for it"
        yield Change.because((edits,), Effect.CORRECT, f"Replace `{old}` by `{successor}`", evidence)


@register
class ReplaceRemovedBuiltin:
    """A builtin of Python 2."""

    refactor_id = "replace-removed-builtin"
    needs = ("successor",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """All uses in the file become the builtin of Python 3."""
        old, new = facts.values["old_name"], facts.values["successor"]
        edits = Edits(facts.site.tree)
        for use in uses_of(facts.site.tree, old):
            edits.replace(use, cst.Name(new))
        evidence = f"`{new}` of Python 3 is what `{old}` was in Python 2"
        yield Change.because((edits,), Effect.CORRECT, f"Replace `{old}` by `{new}`", evidence)


@register
class DropArgument:
    """A keyword argument that the installed version no longer takes and that had no effect for long."""

    refactor_id = "drop-argument"
    needs = ("old_name",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The call without the argument, and all others of the file that would fail in the same way."""
        name = facts.values["old_name"]
        edits = Edits(facts.site.tree)
        for call in passing(facts.site, name):
            kept = [arg for arg in call.args if arg.keyword is None or arg.keyword.value != name]
            if kept:
                kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            edits.replace(call, call.with_changes(args=kept))
        evidence = f"the argument `{name}` was removed after it had been without effect"
        yield Change.because((edits,), Effect.CORRECT, f"Pass no `{name}`", evidence)


@register
class SortedPopulation:
    """`random.sample` of a set."""

    refactor_id = "sorted-population"
    needs = ("population",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`random.sample(sorted(population), k)`, as the message of Python says."""
        node = facts.nodes["population"]
        edits = Edits(facts.site.tree)
        edits.replace(node, cst.Call(cst.Name("sorted"), [cst.Arg(node)]))
        evidence = "since Python 3.11 a sample is drawn from a sequence only"
        summary = f"Sample from a sorted list of `{facts.values['population']}`"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence, 0.9)


@register
class PlainFileMode:
    """`open(path, 'rU')`."""

    refactor_id = "plain-file-mode"
    needs = ("mode",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The mode without `U`, which has been the default since Python 3.0."""
        node = facts.nodes["mode"]
        mode = str(getattr(node, "evaluated_value", "")).replace("U", "")
        edits = Edits(facts.site.tree)
        edits.replace(node, cst.SimpleString(repr(mode if "r" in mode else f"r{mode}")))
        evidence = "text files are read with universal newlines anyway"
        yield Change.because((edits,), Effect.CORRECT, "Open the file without the mode U", evidence)


@register
class AsyncDefinition:
    """`@asyncio.coroutine` over a generator."""

    refactor_id = "async-definition"
    needs = ("upgrade",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`async def` and `await` for every such function of the app."""
        changed = []
        for tree in without_tests(facts.case.trees(b"asyncio.coroutine"), facts.site.tree):
            edits = Edits(tree)
            found = [_await_in(edits, function) for function in tree.all(cst.FunctionDef) if _is_marked(function)]
            if not all(found):
                return
            changed += [edits] if found else []
        if not changed:
            return
        evidence = "`@asyncio.coroutine` was removed in Python 3.11, and `async def` is its successor"
        summary = "Write coroutines with `async def` and `await`"
        yield Change.because(changed, Effect.CORRECT, summary, evidence)


def without_tests(trees: Iterable[Tree], own: Tree) -> Iterator[Tree]:
    """The files without those of tests, which need what is not installed where the app runs; the failing one stays."""
    for tree in trees:
        *folders, name = tree.path.split("/")
        tests = {"test", "tests"} & set(folders) or name.startswith("test_") or name == "conftest.py"
        if tree is own or not tests:
            yield tree


def _is_marked(function: cst.FunctionDef) -> bool:
    return any(dotted_name(item.decorator) == "asyncio.coroutine" for item in function.decorators)


def _await_in(edits: Edits, function: cst.FunctionDef) -> bool:
    """Make a coroutine of a generator; not possible if it yields anything but other coroutines."""
    tree = edits.tree
    own = [item for item in tree.all(cst.Yield, function.body) if tree.function(item) is function]
    if any(not isinstance(item.value, cst.From) for item in own):
        return False
    for item in own:
        if isinstance(item.value, cst.From):
            edits.replace(item, cst.Await(item.value.item, lpar=item.lpar, rpar=item.rpar))
    edits.wrap(function, _as_async)
    return True


def _as_async(function: cst.FunctionDef) -> cst.FunctionDef:
    kept = [item for item in function.decorators if dotted_name(item.decorator) != "asyncio.coroutine"]
    return function.with_changes(decorators=kept, asynchronous=cst.Asynchronous())
