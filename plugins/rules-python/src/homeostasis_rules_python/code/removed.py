"""Names and modules that Python and libraries removed, with what does the same today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Tuple


@dataclass(frozen=True)
class Successor:
    """Where a removed name lives on: `from module import name`; a builtin without `module`, a module without `name`.

    `name` may be dotted, as in `timezone.utc`: the first part is imported.
    """

    family: str
    module: str
    name: str = ""


ABCS = (
    "Awaitable", "Coroutine", "AsyncIterable", "AsyncIterator", "AsyncGenerator", "Hashable", "Iterable", "Iterator",
    "Generator", "Reversible", "Sized", "Container", "Callable", "Collection", "Set", "MutableSet", "Mapping",
    "MutableMapping", "MappingView", "KeysView", "ItemsView", "ValuesView", "Sequence", "MutableSequence", "ByteString",
)  # fmt: skip
"""Abstract base classes that were aliases in `collections` until Python 3.10."""


def _table(family: str, module: str, names: Mapping[str, str]) -> Dict[Tuple[str, str], Successor]:
    found = {}
    for old, new in names.items():
        target, _colon, name = new.partition(":")
        found[module, old] = Successor(family, target, name)
    return found


NAMES: Dict[Tuple[str, str], Successor] = {
    **_table("collections-abc", "collections", {name: f"collections.abc:{name}" for name in ABCS}),
    **_table("inspect", "inspect", {"getargspec": "inspect:getfullargspec"}),
    **_table("clock", "time", {"clock": "time:perf_counter"}),
    **_table("gcd", "fractions", {"gcd": "math:gcd"}),
    **_table("base64", "base64", {"encodestring": "base64:encodebytes", "decodestring": "base64:decodebytes"}),
    **_table(
        "cgi",
        "cgi",
        {"escape": "html:escape", "parse_qs": "urllib.parse:parse_qs", "parse_qsl": "urllib.parse:parse_qsl"},
    ),
    **_table("pipes", "pipes", {"quote": "shlex:quote"}),
    **_table("imp", "imp", {"reload": "importlib:reload"}),
    **_table("distutils", "distutils.spawn", {"find_executable": "shutil:which"}),
    **_table("configparser", "configparser", {"SafeConfigParser": "configparser:ConfigParser"}),
    **_table("locale", "locale", {"format": "locale:format_string"}),
    **_table("utc", "datetime", {"UTC": "datetime:timezone.utc"}),
    **_table("errno", "os", {"errno": "errno:", "getcwdu": "os:getcwd"}),
    **_table("python2", "sys", {"maxint": "sys:maxsize"}),
    **_table(
        "python2",
        "string",
        {
            "letters": "string:ascii_letters",
            "lowercase": "string:ascii_lowercase",
            "uppercase": "string:ascii_uppercase",
        },
    ),
    **_table(
        "python2",
        "itertools",
        {"izip": ":zip", "imap": ":map", "ifilter": ":filter", "izip_longest": "itertools:zip_longest"},
    ),
    **_table(
        "python2",
        "urllib",
        {
            "urlencode": "urllib.parse:urlencode",
            "quote": "urllib.parse:quote",
            "unquote": "urllib.parse:unquote",
            "quote_plus": "urllib.parse:quote_plus",
            "urlopen": "urllib.request:urlopen",
        },
    ),
    **_table(
        "python2",
        "urllib2",
        {
            "urlopen": "urllib.request:urlopen",
            "Request": "urllib.request:Request",
            "HTTPError": "urllib.error:HTTPError",
            "URLError": "urllib.error:URLError",
        },
    ),
    **_table("python2", "StringIO", {"StringIO": "io:StringIO"}),
    **_table(
        "werkzeug",
        "werkzeug.urls",
        {
            "url_quote": "urllib.parse:quote",
            "url_quote_plus": "urllib.parse:quote_plus",
            "url_unquote": "urllib.parse:unquote",
            "url_unquote_plus": "urllib.parse:unquote_plus",
            "url_encode": "urllib.parse:urlencode",
            "url_parse": "urllib.parse:urlsplit",
            "url_unparse": "urllib.parse:urlunsplit",
            "url_join": "urllib.parse:urljoin",
        },
    ),
    **_table(
        "werkzeug",
        "werkzeug",
        {
            "secure_filename": "werkzeug.utils:secure_filename",
            "FileStorage": "werkzeug.datastructures:FileStorage",
            "generate_password_hash": "werkzeug.security:generate_password_hash",
            "check_password_hash": "werkzeug.security:check_password_hash",
        },
    ),
    **_table("werkzeug", "werkzeug.security", {"safe_str_cmp": "hmac:compare_digest"}),
    **_table(
        "werkzeug",
        "werkzeug.wrappers",
        {"BaseResponse": "werkzeug.wrappers:Response", "BaseRequest": "werkzeug.wrappers:Request"},
    ),
    **_table("werkzeug", "werkzeug.posixemulation", {"rename": "os:replace"}),
    **_table("werkzeug", "werkzeug.contrib.fixers", {"ProxyFix": "werkzeug.middleware.proxy_fix:ProxyFix"}),
    **_table(
        "flask",
        "flask",
        {"Markup": "markupsafe:Markup", "escape": "markupsafe:escape", "safe_join": "werkzeug.utils:safe_join"},
    ),
    **_table("flask", "flask.helpers", {"safe_join": "werkzeug.utils:safe_join"}),
    **_table(
        "jinja2",
        "jinja2",
        {
            "Markup": "markupsafe:Markup",
            "escape": "markupsafe:escape",
            "contextfunction": "jinja2:pass_context",
            "contextfilter": "jinja2:pass_context",
            "evalcontextfunction": "jinja2:pass_eval_context",
            "evalcontextfilter": "jinja2:pass_eval_context",
            "environmentfunction": "jinja2:pass_environment",
            "environmentfilter": "jinja2:pass_environment",
        },
    ),
    **_table(
        "jinja2",
        "jinja2.utils",
        {"Markup": "markupsafe:Markup", "escape": "markupsafe:escape", "contextfunction": "jinja2:pass_context"},
    ),
    **_table("markupsafe", "markupsafe", {"soft_unicode": "markupsafe:soft_str"}),
    **_table(
        "numpy",
        "numpy",
        {name: f":{name}" for name in ("float", "int", "bool", "object", "str", "complex")},
    ),
    **_table("itsdangerous", "itsdangerous", {"json": "json:"}),
}
"""(Module, name) to its successor."""

MODULES: Dict[str, Tuple[str, str]] = {
    "xml.etree.cElementTree": ("elementtree", "xml.etree.ElementTree"),
    "ConfigParser": ("python2", "configparser"),
    "Queue": ("python2", "queue"),
    "cPickle": ("python2", "pickle"),
    "urlparse": ("python2", "urllib.parse"),
    "httplib": ("python2", "http.client"),
    "HTMLParser": ("python2", "html.parser"),
    "__builtin__": ("python2", "builtins"),
}
"""Module to the family and the module that has the same names."""

GONE = frozenset(
    (
        "cgi",
        "pipes",
        "imp",
        "distutils.spawn",
        "StringIO",
        "urllib2",
        "werkzeug.contrib.fixers",
        "werkzeug.posixemulation",
    )
)
"""Modules that are gone as a whole, of which `NAMES` knows some names."""

METHODS: Dict[str, Tuple[str, str]] = {
    "isAlive": ("threads", "is_alive"),
    "tostring": ("array", "tobytes"),
    "getiterator": ("elementtree", "iter"),
    "getchildren": ("elementtree", "list()"),
    "readfp": ("configparser", "read_file"),
    "unescape": ("html", "html.unescape()"),
    "has_key": ("dict", "in"),
    "iteritems": ("dict", "items"),
    "iterkeys": ("dict", "keys"),
    "itervalues": ("dict", "values"),
}
"""Method to the family and its successor: a method, or a function of the object or of the argument, or the operator."""

METHOD_OWNERS: Dict[str, Tuple[str, ...]] = {
    "tostring": ("array.array", "array"),
    "getiterator": ("xml.etree.ElementTree.Element", "Element", "ElementTree"),
    "getchildren": ("xml.etree.ElementTree.Element", "Element"),
    "readfp": ("ConfigParser", "RawConfigParser", "SafeConfigParser"),
    "unescape": ("HTMLParser",),
    "has_key": ("dict", "OrderedDict", "defaultdict", "collections.OrderedDict", "collections.defaultdict"),
    "iteritems": ("dict", "OrderedDict", "defaultdict", "collections.OrderedDict", "collections.defaultdict"),
    "iterkeys": ("dict", "OrderedDict", "defaultdict", "collections.OrderedDict", "collections.defaultdict"),
    "itervalues": ("dict", "OrderedDict", "defaultdict", "collections.OrderedDict", "collections.defaultdict"),
}
"""Classes of which a method is known to be gone; a method that is not listed has a name of its own."""

BUILTINS: Dict[str, str] = {
    "unicode": "str",
    "basestring": "str",
    "xrange": "range",
    "raw_input": "input",
    "unichr": "chr",
    "long": "int",
}
"""Builtins of Python 2 to those of Python 3."""
