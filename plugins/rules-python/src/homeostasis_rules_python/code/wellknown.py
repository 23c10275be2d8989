"""Names of the standard library that have one meaning: a file that uses one without importing it means that."""

from __future__ import annotations

from typing import Dict, FrozenSet

import libcst as cst

from homeostasis_rules_python.code.tree import Tree
from homeostasis_rules_python.code.web import imported_modules

_BY_MODULE = {
    "abc": "ABC abstractmethod",
    "base64": "b64decode b64encode urlsafe_b64decode urlsafe_b64encode",
    "collections": "OrderedDict defaultdict deque namedtuple",
    "concurrent.futures": "ProcessPoolExecutor ThreadPoolExecutor",
    "contextlib": "ExitStack asynccontextmanager closing contextmanager suppress",
    "copy": "deepcopy",
    "dataclasses": "asdict dataclass",
    "datetime": "timedelta timezone",
    "decimal": "Decimal InvalidOperation ROUND_HALF_UP",
    "enum": "Enum IntEnum",
    "fractions": "Fraction",
    "functools": "lru_cache partial total_ordering wraps",
    "hashlib": "md5 sha1 sha256 sha512",
    "http": "HTTPStatus",
    "io": "BytesIO StringIO",
    "itertools": "accumulate groupby islice zip_longest",
    "operator": "attrgetter itemgetter",
    "pathlib": "Path PurePath",
    "random": "randint",
    "shutil": "copyfile copytree rmtree",
    "statistics": "median",
    "subprocess": "CalledProcessError Popen check_output",
    "tempfile": "NamedTemporaryFile TemporaryDirectory mkdtemp mkstemp",
    "textwrap": "dedent",
    "threading": "Thread",
    "time": "monotonic perf_counter",
    "traceback": "format_exc print_exc",
    "types": "SimpleNamespace",
    "typing": "Any Callable ClassVar Dict FrozenSet Generic Iterable Iterator List Literal Mapping NamedTuple Optional "
    "Protocol Sequence Set TYPE_CHECKING Tuple Type TypeVar TypedDict Union overload",
    "urllib.parse": "parse_qs parse_qsl quote_plus urlencode urljoin urlparse urlsplit urlunparse",
    "uuid": "UUID uuid4",
    "weakref": "WeakKeyDictionary WeakValueDictionary",
}
_SHARED: Dict[str, FrozenSet[str]] = {
    "Enum": frozenset(("sqlalchemy", "marshmallow")),
    "UUID": frozenset(("sqlalchemy", "marshmallow", "bson")),
    "Path": frozenset(("fastapi", "click", "typer", "matplotlib")),
    "timezone": frozenset(("django", "pytz")),
    "timedelta": frozenset(("pandas",)),
    "Thread": frozenset(("trio",)),
    "Set": frozenset(("sqlalchemy",)),
    "median": frozenset(("numpy", "pandas", "scipy", "torch")),
    "accumulate": frozenset(("numpy",)),
    "Type": frozenset(("click", "graphql")),
}
"""Names that a library has as well: a file that imports it may mean the library's."""

WELL_KNOWN: Dict[str, str] = {name: module for module, names in _BY_MODULE.items() for name in names.split()}
"""Name to the module it comes from."""


def well_known(tree: Tree, name: str) -> str | None:
    """`module:name` of what a name means in a file that does not import it; None if it may mean something else."""
    if name in ("datetime", "date") and "django" not in imported_modules(tree):
        return _datetime(tree, name)
    module = WELL_KNOWN.get(name)
    if module is None or _SHARED.get(name, frozenset()) & imported_modules(tree):
        return None
    return f"{module}:{name}"


def _datetime(tree: Tree, name: str) -> str | None:
    """Whether the file means the module `datetime`, or the class of that name."""
    attributes = {
        use.attr.value for use in tree.all(cst.Attribute) if isinstance(use.value, cst.Name) and use.value.value == name
    }
    if name == "datetime" and attributes and attributes <= {"datetime", "date", "timedelta", "timezone", "time", "UTC"}:
        return "datetime"
    methods = {"now", "utcnow", "fromisoformat", "fromtimestamp", "strptime", "combine", "today", "min", "max"}
    return f"datetime:{name}" if attributes and attributes <= methods else None
