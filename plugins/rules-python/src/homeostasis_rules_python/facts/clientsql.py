"""Text of the client that stands in a statement of SQL, and that the database does not understand."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.recorded import field_with_word
from homeostasis_rules_python.code.tree import called_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts

_NOT_UNDERSTOOD = re.compile(
    r"no such (?:column|table|function): (?P<sqlite>\w{1,200})|unrecognized token: \"(?P<token>\w{1,200})"
    r"|near \"(?P<near>\w{1,200})\": syntax error|syntax error at or near \"(?P<at>\w{1,200})\""
    r"|(?:column|relation) \"?(?P<postgres>\w{1,200})\"? does not exist"
    r"|Unknown column '(?P<column>\w{1,200})'|Table '(?:\w{1,200}\.)?(?P<table>\w{1,200})' doesn't exist"
)
_RUNNING = ("execute", "executemany", "executescript", "execute_sql", "exec_driver_sql", "raw")


@extracts("OperationalError", "ProgrammingError", "DatabaseError", "UndefinedColumn", "UndefinedTable", rank=12)
def client_text(case: Case, site: Site) -> Facts | None:
    """Facts about a statement that was made with text of the client: `field` that brought it, and `word` of it."""
    found = _NOT_UNDERSTOOD.search(case.raised.message)
    word = next((value for value in found.groupdict().values() if value), None) if found is not None else None
    told = field_with_word(case, word) if word is not None else None
    if word is None or told is None or _is_in_the_code(case, word):
        return None
    place, field = told
    call = _running(site)
    if call is None:
        return None
    facts = Facts.about(case, site, call)
    facts.say("statement_text", call)
    facts.values.update(field=field or word, place=place, word=word, database="client-text")
    sent = f"as `{field}`" if field else "in the path"
    facts.sentence = (
        f"{facts.where} runs SQL that is made with what the client sent {sent}, so that the database reads "
        f"`{word}` as a part of the statement: any SQL that a client sends there is run"
    )
    return facts


def _running(site: Site) -> cst.Call | None:
    """The call that runs the statement; None if that is written down there, and nothing of a client gets into it."""
    calls = [node for node in site.nodes(cst.Call) if isinstance(node, cst.Call)]
    running = [call for call in calls if called_name(call) in _RUNNING and call.args]
    made = [call for call in running or calls if not (running and literal_of(call.args[0].value)[0])]
    return made[0] if made else None


def _is_in_the_code(case: Case, word: str) -> bool:
    """Whether the word is the app's own: it then is the database that lacks it."""
    whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    for tree in case.trees(word.encode("utf-8")):
        texts: list[cst.SimpleString | cst.FormattedStringText] = [
            *tree.all(cst.SimpleString),
            *tree.all(cst.FormattedStringText),
        ]
        if any(whole.search(text.value) for text in texts):
            return True
    return False
