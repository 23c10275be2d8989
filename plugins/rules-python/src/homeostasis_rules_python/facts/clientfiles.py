"""Files that the client names and that do not exist, or are directories."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.origin import Origin, origin
from homeostasis_rules_python.code.recorded import named_file
from homeostasis_rules_python.code.tree import argument, called_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts

_OF_PATHS = frozenset(("read_text", "read_bytes", "iterdir", "stat", "open"))
_OF_NAMES = frozenset(("open", "listdir", "scandir", "getsize", "getmtime", "stat", "send_file"))
_FILE = re.compile(r"^\[Errno \d{1,4}\] [^:]{1,60}: '(.{1,1000})'$")


@extracts("FileNotFoundError", "NotADirectoryError", "IsADirectoryError", rank=23)
def named_by_client(case: Case, site: Site) -> Facts | None:
    """`path`: what is read, with what the client sent in it; `sought`: that part of it; `exceptions`: their names."""
    for node in site.nodes(cst.Call):
        path = _path(node) if isinstance(node, cst.Call) else None
        found = _origin(case, site, path) if path is not None else None
        if path is None or found is None or not found.from_client:
            continue
        facts = Facts.about(case, site, node)
        facts.say("path", path)
        facts.blame("path", found)
        sought = [name for name in site.tree.all(cst.Name, path) if origin(case, site, name).from_client]
        facts.nodes["sought"] = sought[0] if sought else path
        facts.values["sought_origin"] = "client"
        kinds = ("FileNotFoundError", case.raised.type)
        facts.values["exceptions"] = list(dict.fromkeys(kinds))
        facts.sentence = f"{facts.where} reads `{facts.values['path']}`, which the client names and which is not there"
        return facts
    return None


def _path(call: cst.Call) -> cst.BaseExpression | None:
    """The path that a call reads; None if it writes."""
    name = called_name(call) or ""
    mode = literal_of(argument(call, 1, "mode"))[1]
    if name == "open" and isinstance(mode, str) and mode[:1] in ("w", "a", "x"):
        return None
    if isinstance(call.func, cst.Attribute) and name in _OF_PATHS and not (call.args and name != "open"):
        return call.func.value
    given = argument(call, 0)
    return given if name in _OF_NAMES else None


def _origin(case: Case, site: Site, path: cst.BaseExpression) -> Origin:
    found = origin(case, site, path)
    quoted = _FILE.match(case.raised.message)
    place = named_file(case, quoted.group(1)) if quoted is not None and found.kind == "unknown" else None
    return Origin("client", place, ("the name of the file ends as the request says",)) if place is not None else found
