"""Refactors for a part of the request, or of the session, that is missing."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.places import place_before
from homeostasis_rules_python.code.tree import Tree, argument, called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts, words
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.placement import Guard, refusals
from homeostasis_rules_python.refactors.refuse import shown

_WORDS = {
    "headers": "the {} header is required",
    "wsgi": "the {} header is required",
    "cookies": "the cookie {} is required",
    "files": "the file {} is required",
    "query": "the query parameter {} is required",
}
_CREDENTIALS = ("authorization", "proxy-authorization")


@register
class RefuseMissingPart:
    """A header, cookie, form field, file or query parameter that the client did not send."""

    refactor_id = "refuse-missing-part"
    needs = ("key", "container", "store")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard that answers 400, or 401 where credentials are missing."""
        literal = facts.values["key_literal"]
        name = str(literal) if isinstance(literal, str) else shown(facts, "key")
        if facts.values["store"] == "wsgi":
            name = name[len("HTTP_") :].replace("_", "-").title()
        words = _WORDS.get(facts.values["store"], "{} is required")
        guard = Guard(
            parts=(facts.nodes["key"], facts.nodes["container"]),
            test="{} not in {}".format,
            exception="KeyError",
            status=401 if name.lower() in _CREDENTIALS else 400,
            message=words.format(name),
            summary=f"Refuse requests without {words.format(name).replace(' is required', '')}",
            subject=name,
        )
        yield from refusals(facts, guard)


@register
class RefuseMissingSession:
    """A session that does not hold what only a signed-in client has."""

    refactor_id = "refuse-missing-session"
    needs = ("key", "container", "key_literal")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """What other views do without that key, such as a redirect to the sign-in page; else 401."""
        learnt = _learnt(facts.site.tree, facts.values["container"], facts.values["key_literal"])
        place = place_before(facts.site.tree, facts.node)
        if learnt is not None and place is not None:
            answer, evidence = learnt
            edits = Edits(facts.site.tree)
            place.guard(edits, f"{facts.values['key']} not in {facts.values['container']}", answer)
            summary = f"Answer requests whose session has no {facts.values['key_literal']} as elsewhere"
            yield Change.because((edits,), Effect.REFUSE, summary, evidence)
            return
        guard = Guard(
            parts=(facts.nodes["key"], facts.nodes["container"]),
            test="{} not in {}".format,
            exception="KeyError",
            status=401,
            message="sign in first",
            summary=f"Refuse requests whose session has no {facts.values['key_literal']}",
        )
        yield from refusals(facts, guard)


def _learnt(tree: Tree, container: str, key: str) -> tuple[str, str] | None:
    for conditional in tree.all(cst.If):
        if not _tests_missing(conditional.test, container, key):
            continue
        body = conditional.body.body
        first = body[0] if len(body) == 1 else None
        if isinstance(first, cst.SimpleStatementLine):
            first = first.body[0] if len(first.body) == 1 else None
        if isinstance(first, (cst.Return, cst.Raise)) and not _needs_locals(tree, first):
            line = tree.range(conditional).start.line
            return tree.code(first).strip(), f"another view answers so without {key!r}, in line {line}"
    return None


def _needs_locals(tree: Tree, statement: cst.CSTNode) -> bool:
    """Whether a statement uses a variable that only its own function has."""
    function = tree.function(statement)
    if function is None:
        return True
    own = {item.name.value for item in tree.all(cst.Param, function)}
    own |= {
        target.target.value for target in tree.all(cst.AssignTarget, function) if isinstance(target.target, cst.Name)
    }
    return any(name.value in own for name in tree.all(cst.Name, statement))


def _tests_missing(test: cst.BaseExpression, container: str, key: str) -> bool:
    """`'k' not in session`, `not session.get('k')` and `session.get('k') is None`."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return _gets(test.expression, container, key)
    if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
        return False
    target = test.comparisons[0]
    if isinstance(target.operator, cst.NotIn):
        return dotted_name(target.comparator) == container and literal_of(test.left)[1] == key
    is_none = isinstance(target.operator, cst.Is) and dotted_name(target.comparator) == "None"
    return is_none and _gets(test.left, container, key)


def _gets(node: cst.BaseExpression, container: str, key: str) -> bool:
    if not isinstance(node, cst.Call) or called_name(node) != "get" or not isinstance(node.func, cst.Attribute):
        return False
    return dotted_name(node.func.value) == container and literal_of(argument(node, 0))[1] == key


@register
class RefuseNotMember:
    """The client names something that is not in a list, or a part that a text does not have."""

    refactor_id = "refuse-not-member"
    needs = ("container", "key", "absent")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `item not in items`."""
        sent = facts.values["container_origin"] == "client"
        what = words(shown(facts, "container" if sent else "key"))
        path = facts.values["key_place"] == "path"
        guard = Guard(
            parts=(facts.nodes["key"], facts.nodes["container"]),
            test="{} not in {}".format,
            exception="ValueError",
            status=404 if path and not sent else 400,
            message=f"{what} is malformed" if sent else f"{what} not found",
            summary=f"Refuse requests with {'a malformed' if sent else 'an unknown'} {what}",
            subject=what,
        )
        yield from refusals(facts, guard)
