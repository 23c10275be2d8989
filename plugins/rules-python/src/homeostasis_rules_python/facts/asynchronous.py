"""Event loops and coroutines: what runs a loop within a loop, waits in a plain way for what is asynchronous."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import app_class
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import call_of, replacing

_RUNNING = re.compile(
    r"^asyncio\.run\(\) cannot be called from a running|^(?:Cannot run the|This) event loop .*running"
)
_LOCKS = frozenset(("asyncio.Lock", "asyncio.Semaphore", "asyncio.BoundedSemaphore", "asyncio.Condition"))
_CLIENTS = frozenset(
    ("httpx.AsyncClient", "aiohttp.ClientSession", "AsyncClient", "ClientSession", "async_sessionmaker")
)


def _in_async(site: Site, node: cst.CSTNode) -> bool:
    function = site.tree.enclosing(node, (cst.FunctionDef, cst.Lambda, cst.GeneratorExp))
    return isinstance(function, cst.FunctionDef) and function.asynchronous is not None


@extracts("RuntimeError", rank=20)
def loop_in_loop(case: Case, site: Site) -> Facts | None:
    """`mistake` is `nested-loop`: `asyncio.run(x)` inside of a coroutine."""
    if not _RUNNING.match(case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        runs = called_name(node) in ("run", "run_until_complete") if isinstance(node, cst.Call) else False
        if not isinstance(node, cst.Call) or not runs or not node.args or not _in_async(site, node):
            continue
        if called_name(node) == "run" and dotted_name(node.func) != "asyncio.run":
            continue
        new = cst.Await(node.args[0].value)
        parent = site.tree.parent(node)
        if not isinstance(parent, (cst.Assign, cst.Return, cst.Expr, cst.Arg)):
            new = new.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        sentence = "{where} starts an event loop inside of the one that runs it"
        return replacing(case, site, "nested-loop", node, new, sentence)
    return None


@extracts("RuntimeError", rank=21)
def no_loop(case: Case, site: Site) -> Facts | None:
    """`mistake` is `no-loop`: `asyncio.get_event_loop().run_until_complete(x)` in a thread without a loop."""
    if not case.raised.message.startswith("There is no current event loop in thread"):
        return None
    for node in site.nodes(cst.Call):
        if (
            not isinstance(node, cst.Call)
            or dotted_name(node.func) != "asyncio.get_event_loop"
            or _in_async(site, node)
        ):
            continue
        parent = site.tree.parent(node)
        run = site.tree.parent(parent) if isinstance(parent, cst.Attribute) else None
        if isinstance(run, cst.Call) and called_name(run) == "run_until_complete" and len(run.args) == 1:
            sentence = "{where} asks for the event loop of its thread, which has none"
            return replacing(case, site, "no-loop", run, call_of("asyncio.run", run.args[0].value), sentence)
        facts = _loop_of_its_own(case, site, node)
        if facts is not None:
            return facts
    return None


def _loop_of_its_own(case: Case, site: Site, node: cst.Call) -> Facts | None:
    """`loop = asyncio.get_event_loop()`: the thread gets a new loop, if all that is done with it is to run it."""
    assign = site.tree.parent(node)
    name = dotted_name(assign.targets[0].target) if isinstance(assign, cst.Assign) else None
    if name is None or site.function is None:
        return None
    done = {use.attr.value for use in site.tree.all(cst.Attribute, site.function) if dotted_name(use.value) == name}
    if not done or not done <= {"run_until_complete", "close"}:
        return None
    sentence = "{where} asks for the event loop of its thread, which has none"
    return replacing(case, site, "no-loop", node, call_of("asyncio.new_event_loop"), sentence)


@extracts("TypeError", rank=22)
def plain_loop(case: Case, site: Site) -> Facts | None:
    """`loop`: a `for` over an asynchronous generator inside of a coroutine."""
    if not re.match(r"^'async_generator' object is not iterable", case.raised.message):
        return None
    for node in site.nodes(cst.For, cst.CompFor):
        if isinstance(node, (cst.For, cst.CompFor)) and node.asynchronous is None and _in_async(site, node):
            facts = Facts.about(case, site, node.iter)
            facts.values["plain"] = "for"
            facts.sentence = f"{facts.where} iterates over `{site.tree.code(node.iter)}`, which is asynchronous"
            return facts
    return None


@extracts("AttributeError", "TypeError", rank=22)
def plain_with(case: Case, site: Site) -> Facts | None:
    """`plain` is `with`: a `with` over an asynchronous context manager inside of a coroutine."""
    message = case.raised.message
    entered = message in ("__enter__", "__exit__") or "object does not support the context manager protocol" in message
    for node in site.nodes(cst.With) if entered else ():
        if not isinstance(node, cst.With) or node.asynchronous is not None or not _in_async(site, node):
            continue
        if len(node.items) == 1 and _is_asynchronous(case, site, node.items[0].item):
            facts = Facts.about(case, site, node.items[0].item)
            facts.values["plain"] = "with"
            facts.sentence = f"{facts.where} enters `{facts.values['expression']}` without `async`"
            return facts
    return None


def _is_asynchronous(case: Case, site: Site, node: cst.BaseExpression) -> bool:
    value: cst.BaseExpression | None = node
    if isinstance(node, cst.Name):
        value = binding(site.tree, node.value, node).value
    elif isinstance(node, cst.Attribute):
        wanted = site.tree.code(node)
        value = next(
            (item.value for item in site.tree.all(cst.Assign) if site.tree.code(item.targets[0].target) == wanted), None
        )
    if not isinstance(value, cst.Call):
        return False
    named = dotted_name(value.func) or ""
    if named in _LOCKS | _CLIENTS or (isinstance(value.func, cst.Attribute) and value.func.attr.value == "acquire"):
        return True
    found = app_class(case, named.split(".")[-1])
    methods = {item.name.value for item in found[0].all(cst.FunctionDef, found[1].body)} if found is not None else set()
    return "__aenter__" in methods and "__enter__" not in methods


@extracts("TypeError", rank=18)
def gathered_list(case: Case, site: Site) -> Facts | None:
    """`mistake` is `gather`: a list given to `asyncio.gather`, `wait` for coroutines instead of tasks."""
    if not re.search(r"unhashable type: 'list'|An asyncio.Future, a coroutine or an awaitable is", case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or dotted_name(node.func) not in ("asyncio.gather", "gather"):
            continue
        plain = [arg for arg in node.args if arg.keyword is None]
        if len(plain) == 1 and not plain[0].star:
            new = node.with_changes(args=[plain[0].with_changes(star="*"), *(a for a in node.args if a.keyword)])
            sentence = f"{{where}} passes the list `{site.tree.code(plain[0].value)}` as if it were one awaitable"
            return replacing(case, site, "gather", node, new, sentence)
    return None


@extracts("TypeError", rank=18)
def waited_coroutines(case: Case, site: Site) -> Facts | None:
    """`mistake` is `wait`: coroutines given to `asyncio.wait`, which takes tasks only since Python 3.11."""
    if not case.raised.message.startswith("Passing coroutines is forbidden"):
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or dotted_name(node.func) != "asyncio.wait" or not node.args:
            continue
        given = node.args[0].value
        sentence = f"{{where}} waits for the coroutines `{site.tree.code(given)}` instead of tasks"
        if isinstance(given, (cst.ListComp, cst.SetComp, cst.GeneratorExp)):
            return replacing(case, site, "wait", given.elt, call_of("asyncio.create_task", given.elt), sentence)
        if isinstance(given, (cst.List, cst.Set)) and not any(
            isinstance(e, cst.StarredElement) for e in given.elements
        ):
            tasks = [e.with_changes(value=call_of("asyncio.create_task", e.value)) for e in given.elements]
            return replacing(case, site, "wait", given, given.with_changes(elements=tasks), sentence)
        if isinstance(given, cst.Name):
            new = call_of("map", cst.parse_expression("asyncio.create_task"), given)
            return replacing(case, site, "wait", given, call_of("list", new), sentence)
    return None
