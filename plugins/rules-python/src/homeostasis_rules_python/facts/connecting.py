"""Servers that refuse a connection for a while, and redis connections that were dropped."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.construct import has_keyword, the_construction
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_REFUSED = re.compile(
    r"Connection refused|could not connect to server|Can't connect to MySQL server|database system is starting up"
    r"|connection timeout expired|\((?:2002|2003),"
)
_DRIVERS = {"psycopg": "OperationalError", "psycopg2": "OperationalError", "pymysql": "OperationalError"}
CLIENTS = ("Redis", "StrictRedis", "from_url")
_NOT_IDEMPOTENT = frozenset(
    ("incr", "incrby", "incrbyfloat", "decr", "decrby", "hincrby", "hincrbyfloat", "zincrby", "append", "getset",
     "lpush", "rpush", "lpop", "rpop", "blpop", "brpop", "spop", "zpopmin", "zpopmax", "publish", "xadd", "setnx",
     "eval", "evalsha", "execute_command", "pipeline", "register_script", "lock", "rename", "lmove", "rpoplpush")
)  # fmt: skip
"""Commands of redis that must not be sent twice."""


@extracts("OperationalError", rank=25)
def refused(case: Case, site: Site) -> Facts | None:
    """Facts about a statement that opens a connection while the server does not answer: `error` is what to wait for."""
    if not _REFUSED.search(case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        owner, _dot, name = (dotted_name(getattr(node, "func", None)) or "").rpartition(".")
        line = site.tree.statement(node)
        if not isinstance(node, cst.Call) or name != "connect" or owner not in _DRIVERS:
            continue
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
            continue
        opened = line.body[0]
        if not isinstance(opened, cst.Assign) or opened.value is not node or site.tree.enclosing(node, cst.Try):
            continue
        facts = Facts.about(case, site, node)
        facts.values.update(database="refused", error=f"{owner}.{_DRIVERS[owner]}")
        facts.sentence = f"{facts.where} opens a connection while the server does not accept one"
        return facts
    return None


@extracts("ConnectionError", "TimeoutError", "ConnectionResetError", rank=19)
def dropped_redis(case: Case, site: Site) -> Facts | None:
    """Facts about a client of redis whose connection was dropped: `idempotent` if no command must be sent only once."""
    if not case.raised.module.startswith("redis"):
        return None
    client = the_construction(case, *CLIENTS)
    if client is None or has_keyword(client[1], "retry", "health_check_interval", "connection_pool"):
        return None
    nodes = site.nodes(cst.Call)
    if not nodes:
        return None
    facts = Facts.about(case, site, nodes[0])
    facts.values.update(database="redis", idempotent=not _sends_once(case))
    facts.sentence = f"{facts.where} uses a connection to redis that was dropped"
    return facts


def _sends_once(case: Case) -> bool:
    return any(
        called_name(call) in _NOT_IDEMPOTENT and isinstance(call.func, cst.Attribute)
        for tree in case.trees()
        for call in tree.all(cst.Call)
    )
