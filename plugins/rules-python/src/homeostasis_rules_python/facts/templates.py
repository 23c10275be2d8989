"""`str.format` with braces that are meant as braces, or with a field under another name."""

from __future__ import annotations

import ast
import difflib
import re
from typing import Iterator, List, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing

_PARTS = re.compile(r"\{([^{}]{0,200})\}|[{}]")
_NAME = re.compile(r"[A-Za-z_]\w{0,100}")


@extracts("KeyError", "ValueError", rank=30)
def unfilled_field(case: Case, site: Site) -> Facts | None:
    """`mistake` is `literal-braces`, or `misspelt-field` if one of the arguments is spelt nearly like a field."""
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or called_name(node) != "format" or not isinstance(node.func, cst.Attribute):
            continue
        template = _template(site, node.func.value)
        given = [arg.keyword.value for arg in node.args if arg.keyword is not None]
        if template is None or any(arg.star for arg in node.args):
            return None
        plain = len(node.args) - len(given)
        return _misspelt(case, site, template, given) or _braces(case, site, template, given, plain)
    return None


def _template(site: Site, node: cst.BaseExpression) -> cst.SimpleString | None:
    """The literal itself, or what the name was assigned in this file."""
    if isinstance(node, cst.Name):
        found = binding(site.tree, node.value, node)
        node = found.value if found.kind in ("assign", "module") and found.value is not None else node
    plain = isinstance(node, cst.SimpleString) and "N{" not in node.value and "b" not in node.prefix.lower()
    return node if plain and isinstance(node, cst.SimpleString) else None


def _misspelt(case: Case, site: Site, template: cst.SimpleString, given: List[str]) -> Facts | None:
    if case.raised.type != "KeyError":
        return None
    name = _key(case.raised.message)
    fields = {field for field, _start, _end in _fields(template.value)}
    near = difflib.get_close_matches(name, [each for each in given if each not in fields], 2, 0.75)
    if not _NAME.fullmatch(name) or name not in fields or len(near) != 1:
        return None
    text = re.sub(rf"\{{{name}(?=[}}!:.\[])", f"{{{near[0]}", template.value)
    sentence = f"{{where}} fills the field `{near[0]}`, which the text calls `{name}`"
    return replacing(case, site, "misspelt-field", template, template.with_changes(value=text), sentence)


def _key(message: str) -> str:
    """The key that a message shows as Python writes it."""
    try:
        return str(ast.literal_eval(message[:300]))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return message


def _braces(case: Case, site: Site, template: cst.SimpleString, given: List[str], plain: int) -> Facts | None:
    text = template.value
    if "{{" in text or (case.raised.type == "KeyError" and _NAME.fullmatch(_key(case.raised.message))):
        return None
    kept, out, at = 0, "", 0
    for found in _PARTS.finditer(text):
        field = found.group(1)
        name = re.split(r"[!:.\[]", field, maxsplit=1)[0] if field is not None else None
        filled = name in given or (name is not None and (name == "" or name.isdigit()) and plain > 0)
        out += text[at : found.start()]
        out += found.group(0) if filled else found.group(0).replace("{", "{{").replace("}", "}}")
        kept += filled
        at = found.end()
    out += text[at:]
    if not kept or out == text:
        return None
    sentence = "{where} formats a text whose braces are no fields"
    return replacing(case, site, "literal-braces", template, template.with_changes(value=out), sentence)


def _fields(text: str) -> Iterator[Tuple[str, int, int]]:
    for found in _PARTS.finditer(text.replace("{{", "  ").replace("}}", "  ")):
        if found.group(1) is not None:
            yield re.split(r"[!:.\[]", found.group(1), maxsplit=1)[0], found.start(), found.end()


_GROUP = re.compile(r"^no such group$")


@extracts("IndexError", rank=30)
def unknown_group(case: Case, site: Site) -> Facts | None:
    """`mistake` is `misspelt-group`: a group of a regular expression under a name that is spelt nearly so."""
    if not _GROUP.match(case.raised.message):
        return None
    for node in site.nodes(cst.Call, cst.Subscript):
        asked = _asked(node)
        if not isinstance(asked, cst.SimpleString):
            continue
        name = str(asked.evaluated_value)
        names = _groups(site)
        near = difflib.get_close_matches(name, names, 2, 0.75)
        if len(near) == 1 and name not in names:
            new = asked.with_changes(value=asked.value.replace(name, near[0]))
            sentence = f"{{where}} asks for the group `{name}`, which the expression calls `{near[0]}`"
            return replacing(case, site, "misspelt-group", asked, new, sentence)
    return None


def _asked(node: cst.CSTNode) -> cst.BaseExpression | None:
    if isinstance(node, cst.Call) and called_name(node) in ("group", "start", "end", "span") and len(node.args) == 1:
        return node.args[0].value
    if isinstance(node, cst.Subscript) and len(node.slice) == 1 and isinstance(node.slice[0].slice, cst.Index):
        return node.slice[0].slice.value
    return None


def _groups(site: Site) -> List[str]:
    """Names of the groups of all expressions in the file."""
    found = [
        name
        for text in site.tree.all(cst.SimpleString)
        for name in re.findall(r"\(\?P<(\w{1,100})>", text.value[:5000])
    ]
    return list(dict.fromkeys(found))


@extracts("error", "PatternError", rank=30)
def unescaped(case: Case, site: Site) -> Facts | None:
    """`mistake` is `unescaped`: a text is put into a regular expression that takes its characters for operators."""
    for node in site.nodes(cst.Call):
        called = isinstance(node, cst.Call) and called_name(node) in _MATCHERS and bool(node.args)
        if not isinstance(node, cst.Call) or not called:
            continue
        for part in _inserted(site, node.args[0].value):
            sentence = f"{{where}} puts `{site.tree.code(part)}` into a regular expression as it is"
            new = cst.Call(cst.parse_expression("re.escape"), [cst.Arg(part)])
            facts = replacing(case, site, "unescaped", part, new, sentence, ["re"])
            if facts is not None:
                facts.values["doubtful"] = True  # others may hand over a part of an expression
            return facts
    return None


_MATCHERS = frozenset(("search", "match", "fullmatch", "findall", "finditer", "sub", "subn", "split", "compile"))


def _inserted(site: Site, pattern: cst.BaseExpression) -> List[cst.BaseExpression]:
    """What is put into the text of an expression by an f-string or by `+`; of several, none."""
    if isinstance(pattern, cst.Name):
        found = binding(site.tree, pattern.value, pattern)
        pattern = found.value if found.kind == "assign" and found.value is not None else pattern
    if isinstance(pattern, cst.FormattedString):
        parts = [each.expression for each in pattern.parts if isinstance(each, cst.FormattedStringExpression)]
    elif isinstance(pattern, cst.BinaryOperation) and isinstance(pattern.operator, cst.Add):
        sides: List[cst.BaseExpression] = [pattern.right]
        while isinstance(pattern.left, cst.BinaryOperation):
            pattern = pattern.left
            sides.append(pattern.right)
        sides.append(pattern.left)
        parts = [each for each in sides if not isinstance(each, (cst.SimpleString, cst.ConcatenatedString))]
        parts = parts if len(parts) < len(sides) else []
    else:
        return []
    return parts if len(parts) == 1 and not isinstance(parts[0], cst.Call) else []
