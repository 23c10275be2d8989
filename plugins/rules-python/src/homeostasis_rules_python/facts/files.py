"""Files: the wrong directory, directories that are missing or there already, modes, encodings and closed files."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.construct import has_keyword, with_keywords
from homeostasis_rules_python.code.edit import can_insert_before, expression
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import argument, called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import call_of, method_of, replacing

_READERS = ("read_text", "read_bytes", "open", "load", "read_csv")
_CODECS = re.compile(r"^'(?:ascii|charmap|cp1252|latin-1|gbk|cp932)' codec can't (?:decode|encode)")


@extracts("FileNotFoundError", rank=20)
def wrong_directory(case: Case, site: Site) -> Facts | None:
    """`mistake` is `relative-path`: the file stands beside the module, and the path starts elsewhere."""
    here = PurePosixPath(site.path).parent
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or not node.args:
            continue
        source = _literal_behind(site, node.args[0].value)
        path = literal_of(source)[1]
        if source is None or not isinstance(path, str) or not path or path.startswith(("/", "~", "\\")) or ".." in path:
            continue
        beside = case.source.root / here / path
        if not beside.is_file() or (here == PurePosixPath(".") and _reads(node) is None):
            continue
        new = cst.BinaryOperation(expression("Path(__file__).parent"), cst.Divide(), source)
        sentence = f"{{where}} opens `{path:.80}` in the working directory, but the file stands beside {site.path}"
        return replacing(case, site, "relative-path", source, new, sentence, ["pathlib:Path"])
    return None


def _reads(call: cst.Call) -> str | None:
    return called_name(call) if called_name(call) in _READERS else None


def _literal_behind(site: Site, node: cst.BaseExpression) -> cst.BaseExpression | None:
    if isinstance(node, cst.Name):
        found = binding(site.tree, node.value, node)
        return found.value if found.kind in ("module", "assign") and isinstance(found.value, cst.SimpleString) else None
    return node if isinstance(node, cst.SimpleString) else None


@extracts("FileNotFoundError", rank=21)
def missing_directory(case: Case, site: Site) -> Facts | None:
    """`written`: the path of a file that is written into a directory which does not exist."""
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call):
            continue
        target, is_path = None, False
        if dotted_name(node.func) == "open" and _mode(node)[:1] in ("w", "a", "x"):
            target = node.args[0].value
        elif called_name(node) in ("write_text", "write_bytes") and isinstance(node.func, cst.Attribute):
            target, is_path = node.func.value, True
        statement = site.tree.statement(node)
        if (
            target is None
            or statement is None
            or not is_repeatable(target)
            or not can_insert_before(site.tree, statement)
        ):
            continue
        facts = Facts.about(case, site, node)
        facts.say("written", target)
        facts.values["is_path"] = is_path
        facts.sentence = f"{facts.where} writes `{facts.values['written']}`, whose directory does not exist"
        return facts
    return None


def _mode(call: cst.Call) -> str:
    mode = literal_of(argument(call, 1, "mode"))[1]
    return mode if isinstance(mode, str) else "r"


@extracts("FileNotFoundError", rank=22)
def removed_already(case: Case, site: Site) -> Facts | None:
    """`mistake` is `removed`: a file is removed that somebody else has removed meanwhile."""
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call):
            continue
        sentence = "{where} removes a file that is gone already"
        if dotted_name(node.func) in ("os.remove", "os.unlink") and len(node.args) == 1:
            path = call_of("Path", node.args[0].value)
            new = with_keywords(method_of(path, "unlink"), [("missing_ok", "True")])
            return replacing(case, site, "removed", node, new, sentence, ["pathlib:Path"])
        if called_name(node) == "unlink" and isinstance(node.func, cst.Attribute) and not node.args:
            return replacing(case, site, "removed", node, with_keywords(node, [("missing_ok", "True")]), sentence)
    return None


@extracts("FileExistsError", rank=20)
def made_already(case: Case, site: Site) -> Facts | None:
    """`mistake` is `exists`: a directory is made that is there already."""
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or has_keyword(node, "exist_ok"):
            continue
        sentence = "{where} makes a directory that is there already"
        given = [("exist_ok", "True")]
        if dotted_name(node.func) == "os.makedirs" or (called_name(node) == "mkdir" and _of_path(node)):
            return replacing(case, site, "exists", node, with_keywords(node, given), sentence)
        if dotted_name(node.func) == "os.mkdir":
            new = with_keywords(node, given).with_changes(func=expression("os.makedirs"))
            return replacing(case, site, "exists", node, new, sentence)
    return None


def _of_path(call: cst.Call) -> bool:
    return isinstance(call.func, cst.Attribute) and dotted_name(call.func.value) != "os"


@extracts("UnicodeDecodeError", "UnicodeEncodeError", rank=20)
def encoding(case: Case, site: Site) -> Facts | None:
    """`mistake` is `encoding` for a file without one, `ascii` for bytes that are taken for ASCII."""
    if not _CODECS.match(case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        if (
            isinstance(node, cst.Call)
            and called_name(node) in ("decode", "encode")
            and case.raised.message[1:6] == "ascii"
        ):
            given = argument(node, 0, "encoding")
            if given is not None and str(literal_of(given)[1]).lower().replace("-", "") in ("ascii", "usascii"):
                sentence = "{where} takes ASCII for granted; UTF-8 is the same for it and knows the rest"
                return replacing(case, site, "ascii", given, cst.SimpleString('"utf-8"'), sentence)
        if isinstance(node, cst.Call) and _without_encoding(node):
            return _with_encoding(case, site, node, "utf-8", "encoding")
    opened = _opened(site)
    if opened is None or has_keyword(opened, "encoding") or "b" in _mode(opened) or len(opened.args) > 2:
        return None
    return _with_encoding(case, site, opened, "utf-8", "encoding")


def _without_encoding(call: cst.Call) -> bool:
    """Whether a call is `path.read_text()` or `path.write_text(text)`."""
    needed = {"read_text": 0, "write_text": 1}.get(called_name(call) or "")
    return len(call.args) == needed and not has_keyword(call, "encoding")


def _with_encoding(case: Case, site: Site, call: cst.Call, name: str, mistake: str) -> Facts | None:
    args = [arg for arg in call.args if arg.keyword is None or arg.keyword.value != "encoding"]
    if args and len(args) < len(call.args):
        args[-1] = args[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    kept = call.with_changes(args=args)
    sentence = f"{{where}} opens a text file without saying that it is {name.upper()}"
    return replacing(case, site, mistake, call, with_keywords(kept, [("encoding", f'"{name}"')]), sentence)


def _opened(site: Site) -> cst.Call | None:
    """The only `open(...)` of the function, or of the module, that may have opened the file at hand."""
    scope = site.function if site.function is not None else site.tree.module
    calls = [call for call in site.tree.all(cst.Call, scope) if dotted_name(call.func) in ("open", "io.open")]
    return calls[0] if len(calls) == 1 else None


@extracts("JSONDecodeError", rank=20)
def marked_json(case: Case, site: Site) -> Facts | None:
    """`mistake` is `bom`: JSON in a file that begins with a byte order mark."""
    if not case.raised.message.startswith("Unexpected UTF-8 BOM"):
        return None
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call):
            for inner in site.tree.all(cst.Call, node):
                if called_name(inner) == "read_text":
                    return _with_encoding(case, site, inner, "utf-8-sig", "bom")
    opened = _opened(site)
    return (
        _with_encoding(case, site, opened, "utf-8-sig", "bom")
        if opened is not None and "b" not in _mode(opened)
        else None
    )


@extracts("TypeError", rank=11)
def text_or_binary(case: Case, site: Site) -> Facts | None:
    """`mistake` is `file-mode`: bytes are written to a text file, or text to a binary one."""
    message = case.raised.message
    to_text = message.startswith("write() argument must be str, not bytes")
    to_binary = message.startswith("a bytes-like object is required, not 'str'")
    writes = any(
        called_name(n) in ("write", "writelines", "dump") for n in site.nodes(cst.Call)[:3] if isinstance(n, cst.Call)
    )
    opened = _opened(site) if (to_text or to_binary) and writes else None
    given = argument(opened, 1, "mode") if opened is not None else None
    mode = literal_of(given)[1]
    if opened is None or given is None or not isinstance(mode, str) or ("b" in mode) == to_text:
        return None
    new = f"{mode}b" if to_text else mode.replace("b", "")
    args = [arg.with_changes(value=cst.SimpleString(repr(new))) if arg.value is given else arg for arg in opened.args]
    if to_text:
        args = [
            arg for arg in args if arg.keyword is None or arg.keyword.value not in ("encoding", "newline", "errors")
        ]
        args[-1] = args[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    changed = opened.with_changes(args=args)
    if to_binary and not has_keyword(opened, "encoding"):
        changed = with_keywords(changed, [("encoding", '"utf-8"')])
    sentence = f"{{where}} writes {'bytes' if to_text else 'text'} to a file that is open for the other"
    return replacing(case, site, "file-mode", opened, changed, sentence)


@extracts("ValueError", rank=11)
def closed_file(case: Case, site: Site) -> Facts | None:
    """`closed`: a file is used in the statements that follow its `with`."""
    if not case.raised.message.startswith("I/O operation on closed file"):
        return None
    for node in site.nodes(cst.Call, cst.For, cst.CompFor):
        statement = site.tree.statement(node)
        block = site.tree.parent(statement) if statement is not None else None
        if statement is None or not isinstance(block, cst.IndentedBlock):
            continue
        at = list(block.body).index(statement)
        before = [(i, each) for i, each in enumerate(block.body[:at]) if isinstance(each, cst.With)]
        opens = [
            (i, each)
            for i, each in before
            if any(called_name(call) == "open" for item in each.items for call in site.tree.all(cst.Call, item))
        ]
        if len(opens) == 1 and isinstance(opens[0][1].body, cst.IndentedBlock):
            facts = Facts.about(case, site, statement)
            facts.values.update(closed=opens[0][0], until=at)
            facts.sentence = f"{facts.where} reads a file after the `with` that opened it has closed it"
            return facts
    return None


@extracts("InterpolationSyntaxError", rank=20)
def interpolated(case: Case, site: Site) -> Facts | None:
    """`mistake` is `interpolation`: a value with a percent sign in a configuration file."""
    for call in site.tree.all(cst.Call):
        if called_name(call) == "ConfigParser" and not has_keyword(call, "interpolation"):
            sentence = "{where} reads a value with a percent sign, which the parser takes for a reference"
            new = with_keywords(call, [("interpolation", "None")])
            return replacing(case, site, "interpolation", call, new, sentence)
    return None
