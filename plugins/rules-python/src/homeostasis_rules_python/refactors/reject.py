"""Refactors that answer with a 4xx where the client sent what cannot be read, is of another type or out of bounds."""

from __future__ import annotations

from typing import Iterator, Tuple

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.conventions import default_for_key
from homeostasis_rules_python.code.edit import Edits, expression
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.code.imports import NewImport, bound_module_name
from homeostasis_rules_python.code.nottext import exceptions_of
from homeostasis_rules_python.code.optional import may_be_none
from homeostasis_rules_python.code.tree import Tree, called_name, literal_of
from homeostasis_rules_python.facts.base import Facts, words
from homeostasis_rules_python.facts.bounds import TESTS
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.placement import Guard, hoisted, refusals
from homeostasis_rules_python.refactors.refuse import shown

_HOMES = {"InvalidOperation": "decimal", "ZoneInfoNotFoundError": "zoneinfo", "re.error": "re"}


def caught(tree: Tree, names: list[str]) -> Tuple[str, Tuple[NewImport, ...]]:
    """What stands behind `except`, and the imports that it needs."""
    texts, imports = [], []
    for name in names:
        home = _HOMES.get(name)
        module = bound_module_name(tree, home) if home is not None else None
        if home is None:
            texts.append(name)
        elif "." in name:
            texts.append(f"{module or home}.{name.split('.')[-1]}")
            imports += [] if module is not None else [NewImport(home)]
        elif module is not None:
            texts.append(f"{module}.{name}")
        else:
            texts.append(name)
            imports.append(NewImport(home, name))
    text = texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
    return text, tuple(imports)


@register
class RefuseUnreadable:
    """A text that the client sent and that cannot be read."""

    refactor_id = "refuse-unreadable"
    needs = ("text", "wanted", "exceptions")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The default that the code base has for a missing field, then `try` around the reading and nothing else."""
        yield from _with_default(facts)
        name = "body" if facts.values["whole_body"] else shown(facts, "text")
        place, known = facts.values.get("text_place"), facts.values["exceptions"]
        names = known
        if facts.values["kind"] in ("date", "decimal"):
            names = exceptions_of(facts.case, facts.site, facts.nodes["text"], place, known)
        exception, imports = caught(facts.site.tree, names)
        said = (
            f"the body must be {facts.values['wanted']}"
            if name == "body"
            else f"{name} must be {facts.values['wanted']}"
        )
        guard = Guard(
            parts=(facts.nodes["text"],),
            test="not {}".format,
            exception=exception,
            status=400,
            message=said,
            summary=f"Refuse requests whose {name} is not {facts.values['wanted']}",
            prefer_try=True,
            subject=name,
            imports=imports,
            sayable=False,
            narrow=caught(facts.site.tree, known)[0],
        )
        yield from refusals(facts, guard)


def _with_default(facts: Facts) -> Iterator[Change]:
    """`int(args.get("page", 1))`, where another place of the code base reads the field so."""
    text = facts.nodes["text"]
    if (
        not facts.values["missing"]
        or not isinstance(text, cst.Call)
        or called_name(text) != "get"
        or len(text.args) != 1
    ):
        return
    key = literal_of(text.args[0].value)[1]
    found = default_for_key(facts.case, facts.site, key) if isinstance(key, str) else None
    if found is None:
        return
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    edits = Edits(facts.site.tree)
    args = [text.args[0].with_changes(comma=comma), cst.Arg(expression(found.text))]
    edits.replace(text, text.with_changes(args=args))
    summary = f"Use {found.text} when {key} is missing"
    rationale = f"The client left it out; {found.evidence}."
    yield Change((edits,), Effect.RECOVER, summary, rationale, found.weight, Risk.LOW, (found.evidence,))


_READ = {"open": "source", "read_text": "content", "read_bytes": "content", "listdir": "entries", "iterdir": "entries"}
"""What is read is called so, should it need a name."""


@register
class RefuseMissingFile:
    """A file that the client names and that is not there."""

    refactor_id = "refuse-missing-file"
    needs = ("path", "sought", "exceptions")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`try` around the reading, and 404."""
        exception, imports = caught(facts.site.tree, facts.values["exceptions"])
        name = words(shown(facts, "sought"))
        reader = called_name(facts.node) if isinstance(facts.node, cst.Call) else None
        guard = Guard(
            parts=(facts.nodes["path"],),
            test="not {}".format,
            exception=exception,
            status=404,
            message=f"{name} not found",
            summary=f"Refuse requests for a {name} that does not exist",
            prefer_try=True,
            subject=_READ.get(reader or "", "found"),
            imports=imports,
            sayable=False,
        )
        yield from refusals(facts, guard)


@register
class RefuseUnknownMember:
    """A name that an enumeration does not have."""

    refactor_id = "refuse-unknown-member"
    needs = ("key", "container")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `name not in Enum.__members__`."""
        what = words(shown(facts, "key"))
        path = facts.values.get("key_place") == "path"
        guard = Guard(
            parts=(facts.nodes["key"], facts.nodes["container"]),
            test="{} not in {}.__members__".format,
            exception="KeyError",
            status=404 if path else 400,
            message=f"{what} not found" if path else f"unknown {what}",
            summary=f"Refuse requests for an unknown {what}",
            subject=what,
        )
        yield from refusals(facts, guard)


@register
class RefuseOutOfBounds:
    """A number that a function does not take."""

    refactor_id = "refuse-out-of-bounds"
    needs = ("number", "bound")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard on the number; `try` where the limit depends on more than the number."""
        test, message = TESTS[facts.values["bound"]]
        name = shown(facts, "number")
        sample = facts.values["bound"] == "sample"
        parts = (facts.nodes["number"],) + ((facts.nodes["population"],) if sample else ())
        optional = bool(test) and may_be_none(facts.site, facts.nodes["number"])
        guard = Guard(
            parts=parts,
            test=("{0} is not None and " + test if optional else test).format,
            exception="OverflowError" if facts.values["bound"] in ("large", "sqlite") else "ValueError",
            status=400,
            message=message.format(name),
            summary=f"Refuse requests with {name} out of range",
            prefer_try=not test,
        )
        yield from refusals(facts, guard)


@register
class RefusePageSize:
    """A page size of zero."""

    refactor_id = "refuse-page-size"
    needs = ("divisor",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `per_page < 1`."""
        name = shown(facts, "divisor")
        guard = Guard(
            parts=(facts.nodes["divisor"],),
            test="{} < 1".format,
            exception="ZeroDivisionError",
            status=400,
            message=f"{name} must be at least 1",
            summary=f"Refuse requests whose {name} is less than 1",
        )
        yield from refusals(facts, guard)


_SHAPES = {"dict": "an object", "list": "a list", "str": "a text"}


@register
class RefuseShape:
    """A value that is of another type than the code needs."""

    refactor_id = "refuse-shape"
    needs = ("shaped", "wanted_type")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `not isinstance(value, dict)`."""
        wanted = facts.values["wanted_type"]
        body = facts.values["whole_body"]
        name = "the body" if body else shown(facts, "shaped")
        shape = "a JSON object" if body and wanted == "dict" else "a JSON list" if body else _SHAPES[wanted]
        guard = Guard(
            parts=(facts.nodes["shaped"],),
            test=f"not isinstance({{}}, {wanted})".format,
            exception=None,
            status=400,
            message=f"{name} must be {shape}",
            summary=f"Refuse requests in which {name} is not {shape}",
            of_all=True,
        )
        yield from refusals(facts, guard)


@register
class RefuseUnknownField:
    """An attribute that the client names and the class does not have."""

    refactor_id = "refuse-unknown-field"
    needs = ("owner", "attribute")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `not hasattr(Model, name)`."""
        what = shown(facts, "attribute")
        guard = Guard(
            parts=(facts.nodes["owner"], facts.nodes["attribute"]),
            test="not hasattr({}, {})".format,
            exception="AttributeError",
            status=400,
            message=f"unknown {what}",
            summary=f"Refuse requests for an unknown {what}",
        )
        yield from refusals(facts, guard)


@register
class RefuseContentType:
    """A body that the client does not call JSON."""

    refactor_id = "refuse-content-type"
    needs = ("content_type",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `not request.is_json` that answers 415."""
        guard = Guard(
            parts=(),
            test=lambda: "not request.is_json",
            exception=None,
            status=415,
            message="the content type must be application/json",
            summary="Refuse requests whose body is not called JSON",
        )
        if facts.values["framework"] == "flask" and facts.values["in_handler"]:
            yield from refusals(facts, guard)


@register
class RefuseFields:
    """Fields of the client that a function does not take, or that it needs and did not get."""

    refactor_id = "refuse-fields"
    needs = ("unpacked",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard on the names of the fields."""
        required, allowed = facts.values.get("required"), facts.values.get("allowed")
        if required:
            one = len(required) == 1
            test = f"{required[0]!r} not in @" if one else f"not {set_display(required)} <= set(@)"
            said = f"{' and '.join(required)} {'is' if one else 'are'} required"
        elif allowed:
            test, said = f"not set(@) <= {set_display(allowed)}", "there are unknown fields"
        else:
            return
        guard = Guard(
            parts=(facts.nodes["unpacked"],),
            test=lambda text: test.replace("@", text),
            exception=None,
            status=400,
            message=said,
            summary="Refuse requests without the fields that are needed" if required else "Refuse unknown fields",
        )
        unpacked = facts.nodes["unpacked"]
        yield from refusals(facts, guard) if is_repeatable(unpacked) else hoisted(facts, guard, unpacked, "data")


def set_display(names: list[str]) -> str:
    """`{'a', 'b'}`, in the order given."""
    return "{" + ", ".join(map(repr, names)) + "}"
