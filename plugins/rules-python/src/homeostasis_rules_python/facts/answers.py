"""Answers that a framework cannot send: nothing, a value of a wrong type, or not what the response model says."""

from __future__ import annotations

import builtins
import re
from typing import Iterator, List

import libcst as cst

from homeostasis_rules_python.code.answering import told
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.origin import asked_by_client, origin
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import Tree, called_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts

_NONE = re.compile(
    r"^The view function for '[\w.]{1,200}' did not return a valid response\. The function either returned None"
)
_TYPE = re.compile(
    r"^The view function did not return a valid response\. The return type must be .{1,300} but it was an? (\w{1,60})\."
)
_RESPONSE_NONE = re.compile(r"'loc': \('response',\), 'msg': '[^']{1,200}', 'input': None\}")
_ANSWERS = frozenset(
    ("jsonify", "render_template", "render_template_string", "redirect", "make_response", "Response", "send_file",
     "send_from_directory", "JSONResponse", "HTMLResponse", "RedirectResponse", "TemplateResponse", "PlainTextResponse")
)  # fmt: skip
_MAYBE_NONE = frozenset(("get", "first", "one_or_none", "scalar_one_or_none", "scalar", "fetchone", "find_one", "find"))


@extracts("TypeError", "ResponseValidationError", rank=25)
def no_answer(case: Case, site: Site) -> Facts | None:
    """Facts about a handler that returned None.

    `answer` is a statement at the end of a way through the function that makes an answer and does not return it,
    `maybe_none` a returned value that may be None and was looked up for the client, `untold` the subject of a last `if`
    without `else`, and `empty_answer` what other handlers return when there is nothing to say.
    """
    message = told(case)
    if site.function is None or not (_NONE.match(message) or _RESPONSE_NONE.search(message)):
        return None
    facts = Facts.about(case, site, site.function.name)
    facts.values["answered"] = "None"
    _say_dangling(facts, site)
    for value in _returned(site):
        if _may_be_none(site, value):
            facts.say("maybe_none", value)
            asked, asked_for = asked_by_client(case, site, value)
            facts.blame("lookup", asked)
            if asked_for is not None:
                facts.nodes["asked"] = asked_for
            break
    facts.values["empty_answer"] = _empty_answer(site)
    facts.sentence = f"{facts.where} ends without an answer"
    return facts


@extracts("TypeError", rank=25)
def wrong_answer(case: Case, site: Site) -> Facts | None:
    """Facts about a handler of Flask that returned a value that is no answer: `answer_value` and `answered`."""
    found = _TYPE.match(case.raised.message)
    if found is None or site.function is None:
        return None
    values = list(_returned(site))
    fitting = [value for value in values if _is_of(value, found.group(1))] or [
        value for value in values if not _is_answer(value)
    ]
    if len(fitting) != 1:
        return None
    facts = Facts.about(case, site, fitting[0])
    facts.values["answered"] = found.group(1)
    value = fitting[0]
    facts.say("answer_value", value.elements[0].value if isinstance(value, cst.Tuple) else value)
    facts.values["swapped"] = isinstance(value, cst.Tuple) and _is_status(value)
    facts.values["speaks_json"] = b"jsonify" in case.source.read(site.path)
    facts.sentence = f"{facts.where} answers with a value of type {found.group(1)}, which is no answer"
    return facts


def _returned(site: Site) -> Iterator[cst.BaseExpression]:
    function = site.function
    for statement in site.tree.all(cst.Return, function.body) if function is not None else ():
        if statement.value is not None and site.tree.function(statement) is function:
            yield statement.value


def _is_status(value: cst.Tuple) -> bool:
    """Whether a tuple begins with a status: `404, "not found"`."""
    first = literal_of(value.elements[0].value)[1]
    return len(value.elements) == 2 and isinstance(first, int) and 100 <= first < 600


def _is_of(value: cst.BaseExpression, kind: str) -> bool:
    """Whether the source says that a value, or the first of a tuple, is of a type."""
    if isinstance(value, cst.Tuple) and value.elements:
        value = value.elements[0].value
    known, constant = literal_of(value)
    if known:
        return type(constant).__name__ == kind
    if isinstance(value, (cst.Set, cst.SetComp)):
        return kind == "set"
    if isinstance(value, (cst.Comparison, cst.BooleanOperation)):
        return kind == "bool"
    name = called_name(value) if isinstance(value, cst.Call) else None
    return name == kind or (name in ("len", "sum", "round") and kind == "int")


def _is_answer(value: cst.BaseExpression) -> bool:
    if isinstance(value, cst.Tuple) and value.elements:
        value = value.elements[0].value
    if isinstance(value, cst.Call):
        return called_name(value) in _ANSWERS
    return isinstance(value, (cst.Dict, cst.DictComp, cst.SimpleString, cst.FormattedString, cst.ConcatenatedString))


def _say_dangling(facts: Facts, site: Site) -> None:
    if site.function is None:
        return
    for last in _ends(site.function.body):
        small = last.body[0] if isinstance(last, cst.SimpleStatementLine) and len(last.body) == 1 else None
        if isinstance(small, cst.Expr) and _makes_answer(small.value):
            facts.say("answer", small.value)
            return
        if (
            isinstance(small, cst.Assign)
            and isinstance(small.targets[0].target, cst.Name)
            and _makes_answer(small.value)
        ):
            facts.say("answer", small.targets[0].target)
            return
        if isinstance(last, cst.If) and last.orelse is None:
            _say_untold(facts, site, last)


def _makes_answer(value: cst.BaseExpression) -> bool:
    return (isinstance(value, cst.Call) and called_name(value) in _ANSWERS) or (
        isinstance(value, (cst.Dict, cst.Tuple)) and bool(value.elements)
    )


def _ends(body: cst.BaseSuite) -> List[cst.BaseStatement]:
    """The last statements of all ways through a block on which nothing was returned, innermost first."""
    statements = body.body if isinstance(body, cst.IndentedBlock) else []
    last = statements[-1] if statements else None
    if isinstance(last, cst.If):
        found: List[cst.BaseStatement] = []
        branch: cst.If | cst.Else | None = last
        closed = False
        while branch is not None:
            found += _ends(branch.body)
            closed = isinstance(branch, cst.Else)
            branch = branch.orelse if isinstance(branch, cst.If) else None
        return found if closed else [*found, last]
    if isinstance(last, (cst.With, cst.Try)):
        return _ends(last.body) + (
            [end for item in last.handlers for end in _ends(item.body)] if isinstance(last, cst.Try) else []
        )
    return [last] if isinstance(last, cst.SimpleStatementLine) else []


def _say_untold(facts: Facts, site: Site, last: cst.If) -> None:
    subject = last.test
    if isinstance(subject, cst.Comparison) and isinstance(subject.comparisons[0].operator, (cst.IsNot, cst.In)):
        subject = subject.left
    asked, asked_for = asked_by_client(facts.case, site, subject)
    if asked_for is None and isinstance(last.test, cst.Comparison):
        asked = origin(facts.case, site, subject)
        asked_for = subject if asked.from_client else None
    if asked_for is not None:
        facts.say("untold", subject)
        facts.nodes["asked"] = asked_for
        facts.blame("untold", asked)


def _may_be_none(site: Site, value: cst.BaseExpression) -> bool:
    if isinstance(value, cst.Name):
        found = binding(site.tree, value.value, value)
        value = found.value if found.kind == "assign" and found.value is not None else value
    if isinstance(value, cst.Await):
        value = value.expression
    if not isinstance(value, cst.Call):
        return False
    name = called_name(value) or ""
    if name == "next":
        return len(value.args) == 2 and literal_of(value.args[1].value) == (True, None)
    if name in _MAYBE_NONE:
        return name != "get" or len(value.args) == 1
    return isinstance(value.func, cst.Name) and name not in _ANSWERS and not hasattr(builtins, name)


def _empty_answer(site: Site) -> str | None:
    """`"", 204` as other handlers of the file answer when they have nothing to say."""
    for statement in site.tree.all(cst.Return):
        value = statement.value
        if not isinstance(value, cst.Tuple) or len(value.elements) != 2 or _has_names(site.tree, value):
            continue
        if literal_of(value.elements[1].value)[1] == 204:
            return site.tree.code(value).strip()
    return None


def _has_names(tree: Tree, node: cst.CSTNode) -> bool:
    return any(name.value not in ("None", "jsonify") for name in tree.all(cst.Name, node))
