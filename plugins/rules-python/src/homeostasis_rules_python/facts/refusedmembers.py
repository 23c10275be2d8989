"""Keys that a dict lacks, where the same file refuses dicts that lack another one."""

from __future__ import annotations

import re
from typing import Iterator, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name, literal_of, subscript_key
from homeostasis_rules_python.code.web import handler
from homeostasis_rules_python.facts.base import Facts, extracts


@extracts("KeyError", rank=21)
def refused_member(case: Case, site: Site) -> Facts | None:
    """`key` is missing in `container`; `refusal` is the `raise` of the file for `other_key` of the same container.

    `optional` is whether the file also has defaults for keys of it. Left out where a request is handled.
    """
    if case.event.request is not None or handler(case) is not None:
        return None
    for node in site.nodes(cst.Subscript):
        known, key = literal_of(subscript_key(node)) if isinstance(node, cst.Subscript) else (False, None)
        name = dotted_name(node.value) if isinstance(node, cst.Subscript) else None
        if not known or not isinstance(key, str) or name is None or repr(key) != case.raised.message:
            continue
        found = next(refusals(site.tree, name, key), None)
        if found is None:
            return None
        facts = Facts.about(case, site, node)
        facts.values.update(mistake="refused-member", key=key, container=name, other_key=found[0])
        facts.values["optional"] = any(
            called_name(call) == "get" and _is_of(call.func.value, name)
            for call in site.tree.all(cst.Call)
            if isinstance(call.func, cst.Attribute)
        )
        facts.sentence = (
            f"{facts.where} takes `{name}[{key!r}]` for granted, and the file refuses a missing {found[0]!r}"
        )
        return facts
    return None


def refusals(tree: Tree, container: str, key: str) -> Iterator[Tuple[str, cst.Raise]]:
    """Other keys of a container whose absence the file answers with a `raise` that names the key, and that `raise`."""
    for raised in tree.all(cst.Raise):
        line = tree.parent(raised)
        block = tree.parent(line) if line is not None else None
        cause = tree.parent(block) if isinstance(block, cst.IndentedBlock) and len(block.body) == 1 else None
        for other in _lacking(tree, cause, container):
            said = [text for text in tree.all(cst.SimpleString, raised) if _word(other).search(text.value)]
            plain = {use.value for use in tree.all(cst.Name, raised)} <= {called_name_of(raised)}
            if other != key and said and plain and isinstance(raised.exc, cst.Call):
                yield other, raised


def called_name_of(raised: cst.Raise) -> str | None:
    """The class that is raised, where it is named plainly."""
    return (
        called_name(raised.exc) if isinstance(raised.exc, cst.Call) and isinstance(raised.exc.func, cst.Name) else None
    )


def _word(key: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(key)}(?!\w)")


def renamed(text: cst.SimpleString, old: str, new: str) -> cst.SimpleString:
    """A text that names another key; as it was if the key cannot stand in such a text as it is."""
    if not re.fullmatch(r"[\w -]{1,60}", new):
        return text
    return text.with_changes(value=_word(old).sub(new, text.value))


def _lacking(tree: Tree, cause: cst.CSTNode | None, container: str) -> Iterator[str]:
    """Keys whose absence leads to what stands in a handler of KeyError, or in an `if key not in container`."""
    if isinstance(cause, cst.If) and isinstance(cause.test, cst.Comparison) and len(cause.test.comparisons) == 1:
        asked = cause.test.comparisons[0]
        known, key = literal_of(cause.test.left)
        if (
            isinstance(asked.operator, cst.NotIn)
            and known
            and isinstance(key, str)
            and _is_of(asked.comparator, container)
        ):
            yield key
    if isinstance(cause, cst.ExceptHandler) and dotted_name(cause.type) == "KeyError":
        block = tree.parent(cause)
        for each in tree.all(cst.Subscript, block.body) if isinstance(block, cst.Try) else ():
            known, key = literal_of(subscript_key(each))
            if known and isinstance(key, str) and _is_of(each.value, container):
                yield key


def _is_of(node: cst.BaseExpression, container: str) -> bool:
    """Whether an expression is called like the container, `self.row` like `row`."""
    name = dotted_name(node)
    return name is not None and name.split(".")[-1].strip("_") == container.split(".")[-1].strip("_")
