"""Names that are not defined: a forgotten import, or a slip of the pen."""

from __future__ import annotations

import builtins
import difflib
import re
from typing import Iterator, Sequence, Set

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.imports import NewImport
from homeostasis_rules_python.code.scope import bindings_in, imported_names, parameters
from homeostasis_rules_python.code.tree import dotted_name
from homeostasis_rules_python.code.wellknown import well_known
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing

_UNDEFINED = re.compile(r"^name '(\w{1,200})' is not defined")
MODULES = frozenset(
    [
        "abc",
        "argparse",
        "array",
        "ast",
        "asyncio",
        "base64",
        "bisect",
        "calendar",
        "collections",
        "concurrent",
        "contextlib",
        "copy",
        "csv",
        "ctypes",
        "dataclasses",
        "datetime",
        "decimal",
        "difflib",
        "email",
        "enum",
        "errno",
        "fnmatch",
        "fractions",
        "functools",
        "gc",
        "getpass",
        "glob",
        "gzip",
        "hashlib",
        "heapq",
        "hmac",
        "html",
        "http",
        "importlib",
        "inspect",
        "io",
        "itertools",
        "json",
        "locale",
        "logging",
        "math",
        "mimetypes",
        "multiprocessing",
        "operator",
        "os",
        "pathlib",
        "pickle",
        "platform",
        "pprint",
        "queue",
        "random",
        "re",
        "sched",
        "secrets",
        "select",
        "shlex",
        "shutil",
        "signal",
        "smtplib",
        "socket",
        "sqlite3",
        "ssl",
        "stat",
        "statistics",
        "string",
        "struct",
        "subprocess",
        "sys",
        "tempfile",
        "textwrap",
        "threading",
        "time",
        "timeit",
        "traceback",
        "types",
        "typing",
        "unicodedata",
        "urllib",
        "uuid",
        "warnings",
        "weakref",
        "xml",
        "zipfile",
        "zlib",
    ]
)
"""Modules of the standard library that every supported Python has."""


@extracts("NameError", rank=40)
def forgotten_import(case: Case, site: Site) -> Facts | None:
    """`forgotten`: the import that is missing, as `module` or `module:name`."""
    found = _UNDEFINED.match(case.raised.message)
    if found is None or case.raised.type != "NameError":
        return None
    name = found.group(1)
    for node in site.nodes(cst.Name):
        if not isinstance(node, cst.Name) or node.value != name:
            continue
        parent = site.tree.parent(node)
        of_module = isinstance(parent, cst.Attribute) and parent.value is node
        wanted, reason = _elsewhere(case, site, name) or (None, "")
        if wanted is None and name in MODULES and of_module and name != "datetime":
            wanted, reason = name, f"`{name}` is a module of the standard library"
        known = well_known(site.tree, name) if wanted is None and not _bound(site, name) else None
        if known is not None:
            wanted, reason = known, f"`{known.replace(':', '.')}` of the standard library is what has that name"
        return _forgotten(case, site, node, wanted, reason) if wanted is not None else None
    return None


def _forgotten(case: Case, site: Site, node: cst.Name, wanted: str, reason: str) -> Facts:
    facts = Facts.about(case, site, node)
    facts.values["forgotten"] = wanted
    facts.evidence.append(reason)
    facts.sentence = f"{facts.where} uses `{node.value}`, which {site.path} does not import"
    return facts


def _bound(site: Site, name: str) -> bool:
    """Whether the file binds the name anywhere, so that it is not an import that is missing."""
    return (
        name in _visible(site) - {name}
        or any(
            isinstance(node, (cst.FunctionDef, cst.ClassDef)) and node.name.value == name for node in site.tree.nodes
        )
        or any(True for _ in bindings_in(site.tree.module, name))
    )


_ANNOTATED = re.compile(
    r"ForwardRef\('([^']{1,200})'|^name '(\w{1,200})' is not defined|you should define `([^`]{1,200})`"
)


@extracts("NameError", "PydanticUndefinedAnnotation", "PydanticUserError", rank=41)
def unresolved_annotation(case: Case, site: Site) -> Facts | None:
    """`forgotten` of a name in an annotation, which is looked up long after the file was imported."""
    message = case.raised.message
    if case.raised.type != "NameError" and "not fully defined" not in message and "is not defined" not in message:
        return None
    said = [text for found in _ANNOTATED.findall(message[:5000]) for text in found if text]
    for name in dict.fromkeys(word for text in said[:10] for word in re.findall(r"[A-Za-z_]\w{0,100}", text)):
        if _bound(site, name) or any(name in imported_names(node) for node in _imports(site)):
            continue
        for node in site.tree.all(cst.Name):
            if node.value != name or site.tree.enclosing(node, cst.Annotation) is None:
                continue
            wanted, reason = _elsewhere(case, site, name) or (well_known(site.tree, name), "")
            if wanted is not None:
                reason = reason or f"`{wanted.replace(':', '.')}` of the standard library is what has that name"
                return _forgotten(case, site, node, wanted, reason)
    return None


def _imports(site: Site) -> Iterator[cst.Import | cst.ImportFrom]:
    yield from site.tree.all(cst.Import)
    yield from site.tree.all(cst.ImportFrom)


_STARTED_BY = {"append": "[]", "extend": "[]", "insert": "[]", "add": "set()", "discard": "set()", "setdefault": "{}"}


@extracts("NameError", rank=44)
def never_started(case: Case, site: Site) -> Facts | None:
    """`started` is the empty collection for a name that the function only fills and reads, and that nothing binds."""
    found = _UNDEFINED.match(case.raised.message)
    function = site.function
    if found is None or case.raised.type != "NameError" or function is None:
        return None
    name = found.group(1)
    uses = [use for use in site.tree.all(cst.Name) if use.value == name]
    inside = [use for use in uses if any(around is function for around in site.tree.ancestors(use))]
    shared = any(not _is_local(site, use) for use in uses if use not in inside)
    bound = _bound(site, name) or any(name in imported_names(node) for node in _imports(site))
    starts = {text for text in (_filled_as(site, use) for use in inside) if text is not None}
    starts = starts or _updated_as(site, inside)
    if bound or shared or len(starts) != 1 or hasattr(builtins, name) or _is_slip(site, function, name):
        return None
    facts = Facts.about(case, site, inside[0])
    facts.say("name", inside[0])
    facts.values["started"] = starts.pop()
    facts.evidence.append(f"the function fills `{name}` and reads it, and never makes it")
    facts.sentence = f"{facts.where} fills `{name}`, which was never made"
    return facts


def _is_local(site: Site, use: cst.Name) -> bool:
    """Whether the function around a name binds it."""
    function = site.tree.function(use)
    if function is None:
        return False
    return any(bindings_in(function.body, use.value)) or use.value in {each.name.value for each in parameters(function)}


def _is_slip(site: Site, function: cst.FunctionDef, name: str) -> bool:
    """Whether the function has a variable that is spelt nearly so."""
    own = {each.name.value for each in parameters(function)}
    own |= {
        each.value for each in site.tree.all(cst.Name, function.body) if any(bindings_in(function.body, each.value))
    }
    # What is filled with each `result` is called `results`.
    others = sorted(each for each in own if name not in (f"{each}s", f"{each}es"))
    return bool(difflib.get_close_matches(name, others, 1, 0.8))


def _filled_as(site: Site, use: cst.Name) -> str | None:
    """The empty collection that a use of a name fills; None if it does not fill one."""
    parent = site.tree.parent(use)
    if isinstance(parent, cst.Attribute) and parent.value is use:
        call = site.tree.parent(parent)
        filled = isinstance(call, cst.Call) and call.func is parent
        return _STARTED_BY.get(parent.attr.value) if filled else None
    if isinstance(parent, cst.Subscript) and parent.value is use:
        return "{}" if isinstance(site.tree.parent(parent), cst.AssignTarget) else None
    return None


def _updated_as(site: Site, uses: Sequence[cst.Name]) -> Set[str]:
    """`{}` for what is updated and asked for its keys or items: a set has no such methods."""
    owned = [(site.tree.parent(use), use) for use in uses]
    methods = {each.attr.value for each, use in owned if isinstance(each, cst.Attribute) and each.value is use}
    return {"{}"} if "update" in methods and methods & {"items", "keys", "values", "get"} else set()


def _elsewhere(case: Case, site: Site, name: str) -> tuple[str, str] | None:
    """How all other files of the app that import the name do it; None if they differ or none does."""
    found: dict[str, str] = {}
    for tree in case.trees(name.encode()):
        if tree.path == site.path:
            continue
        for line in tree.module.body:
            for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
                text = _as_wanted(small, name)
                if text is not None:
                    found[text] = f"{tree.path}:{tree.range(small).start.line}"
    if len(found) != 1:
        return None
    text, place = found.popitem()
    return text, f"{place} imports `{name}` in the same way"


def _as_wanted(small: cst.CSTNode, name: str) -> str | None:
    if not isinstance(small, (cst.Import, cst.ImportFrom)) or name not in imported_names(small):
        return None
    alias = [a for a in small.names if not isinstance(small.names, cst.ImportStar) and a.evaluated_name == name]  # type: ignore[union-attr]
    if not alias or alias[0].asname is not None:
        return None
    if isinstance(small, cst.Import):
        return name
    return None if small.relative or small.module is None else f"{dotted_name(small.module)}:{name}"


@extracts("NameError", rank=45)
def misspelt_name(case: Case, site: Site) -> Facts | None:
    """`mistake` is `misspelt-name`: the function or module defines exactly one name that is spelt nearly so."""
    found = _UNDEFINED.match(case.raised.message)
    if found is None or case.raised.type != "NameError" or len(found.group(1)) < 4:
        return None
    name = found.group(1)
    near = difflib.get_close_matches(name, sorted(_visible(site) - {name}), 2, 0.8)
    for node in site.nodes(cst.Name) if len(near) == 1 else ():
        if isinstance(node, cst.Name) and node.value == name:
            sentence = f"{{where}} uses `{name}`, which is not defined; `{near[0]}` is"
            return replacing(case, site, "misspelt-name", node, cst.Name(near[0]), sentence)
    return None


def _visible(site: Site) -> Set[str]:
    scopes = [site.tree.module, *([site.function.body] if site.function is not None else [])]
    found = {item.value for item in site.tree.all(cst.Name) if any(any(bindings_in(s, item.value)) for s in scopes)}
    if site.function is not None:
        found |= {item.name.value for item in parameters(site.function)}
    for node in site.tree.module.body:
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            found.add(node.name.value)
    return found


def forgotten(facts: Facts) -> NewImport:
    """The import that is missing."""
    return NewImport.parse(facts.values["forgotten"])


@extracts("ValueError", rank=30)
def mutable_default(case: Case, site: Site) -> Facts | None:
    """`mistake` is `mutable-default`: a list, dict or set as the default of a field of a dataclass."""
    found = re.match(
        r"^mutable default <class '(list|dict|set)'> for field (\w{1,200}) is not allowed", case.raised.message
    )
    for node in site.tree.all(cst.AnnAssign) if found is not None else ():
        if found is None or dotted_name(node.target) != found.group(2) or node.value is None:
            continue
        kind, empty = found.group(1), site.tree.code(node.value).strip() in ("[]", "{}", "list()", "dict()", "set()")
        factory = kind if empty else f"lambda: {site.tree.code(node.value)}"
        new = cst.parse_expression(f"field(default_factory={factory})")
        sentence = f"{site.path} shares one {kind} between all objects as the default of `{found.group(2)}`"
        return replacing(case, site, "mutable-default", node.value, new, sentence, ["dataclasses:field"])
    return None
