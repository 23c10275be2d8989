"""Swapping function bodies in a running process: what is replaced, what is refused, and that undo restores it."""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import linecache
import sys
import textwrap
import threading
import traceback

import pytest

from homeostasis.monitoring import canary, hotswap
from homeostasis.monitoring.hotswap import FileChange, Refused


def text(source):
    return textwrap.dedent(source).lstrip("\n").encode()


@pytest.fixture
def load(tmp_path):
    """Write a module and import it; returns the module and its real path."""
    names = []

    def _load(source, name="shop"):
        path = tmp_path.resolve() / f"{name}.py"
        path.write_bytes(text(source))
        unique = f"swap_{name}_{len(names)}_{tmp_path.name}"
        spec = importlib.util.spec_from_file_location(unique, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[unique] = module
        spec.loader.exec_module(module)
        names.append(unique)
        return module, str(path)

    yield _load
    for release in hotswap.releases():
        hotswap.undo(release)
    for name in names:
        del sys.modules[name]


def change(path, before, after):
    return [FileChange(path, text(before), text(after))]


PRICE = """
    def price(cart, key):
        return cart[key]

    def later():
        raise ValueError("later")
    """
PRICE_FIXED = """
    def price(cart, key):
        if key not in cart:
            return 0
        return cart[key]

    def later():
        raise ValueError("later")
    """


def test_a_function_gets_its_new_body_and_the_old_code_object_comes_back(load):
    """The function object stays the same one; undo restores the very code object it had."""
    module, path = load(PRICE)
    function, code = module.price, module.price.__code__
    assert hotswap.swap("r1", change(path, PRICE, PRICE_FIXED))["functions"] == 1
    assert module.price is function
    assert module.price({}, "x") == 0
    assert hotswap.releases() == ["r1"]
    assert hotswap.undo("r1") == {"known": True, "functions": 1}
    assert module.price.__code__ is code
    with pytest.raises(KeyError):
        module.price({}, "x")
    assert hotswap.releases() == []


def test_swap_and_undo_may_be_repeated(load):
    """A second swap or undo of the same release changes nothing and fails not."""
    module, path = load(PRICE)
    hotswap.swap("r1", change(path, PRICE, PRICE_FIXED))
    assert hotswap.swap("r1", change(path, PRICE, PRICE_FIXED))["already"]
    hotswap.undo("r1")
    assert hotswap.undo("r1") == {"known": False, "functions": 0}
    hotswap.swap("r1", change(path, PRICE, PRICE_FIXED))
    assert module.price({}, "x") == 0


def test_tracebacks_show_the_lines_of_the_text_that_runs(load):
    """An unchanged function further down reports its new line number and the text of that line."""
    module, path = load(PRICE)
    for after, line in ((True, 7), (False, 5)):
        hotswap.swap("r1", change(path, PRICE, PRICE_FIXED)) if after else hotswap.undo("r1")
        try:
            module.later()
        except ValueError as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
        assert (last.lineno, last.line) == (line, 'raise ValueError("later")')
    linecache.clearcache()


KINDS = """
    import contextlib, functools

    def traced(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)
        return wrapper

    @traced
    @traced
    def decorated(d):
        return d["decorated"]

    class Cart:
        rate = 1

        def method(self, d):
            return d["method"]

        @staticmethod
        def static(d):
            return d["static"]

        @classmethod
        def of(cls, d):
            return d["of"]

        @property
        def total(self):
            return {}["total"]

        @total.setter
        def total(self, value):
            value["setter"]

        class Line:
            def inner(self, d):
                return d["inner"]

    def make(key):
        def closure(d):
            return d[key]
        return closure

    def numbers(d):
        yield d["numbers"]

    async def fetch(d):
        return d["fetch"]

    async def stream(d):
        yield d["stream"]

    PICK = lambda d: d["pick"]
    closures = {"view": make("closure")}
    """
KINDS_FIXED = (
    KINDS.replace('d["', 'd.get("')
    .replace('"]\n', '")\n')
    .replace("d[key]", "d.get(key)")
    .replace('{}["total")', 'd_get({}, "total")')
    .replace('d_get({}, "total")', '{}.get("total")')
    .replace('value["setter")', 'value.get("setter")')
)


def every_answer(module):
    cart = module.Cart()

    async def first(generator):
        (value,) = [value async for value in generator]
        return value

    def setter():
        cart.total = {}

    calls = [
        lambda: module.decorated({}),
        lambda: cart.method({}),
        lambda: cart.static({}),
        lambda: module.Cart.of({}),
        lambda: cart.total,
        setter,
        lambda: cart.Line().inner({}),
        lambda: module.closures["view"]({}),
        lambda: next(module.numbers({})),
        lambda: asyncio.run(module.fetch({})),
        lambda: asyncio.run(first(module.stream({}))),
        lambda: module.PICK({}),
    ]
    answers = []
    for call in calls:
        try:
            answers.append(call())
        except KeyError:
            answers.append("KeyError")
    return answers


def test_every_kind_of_function_is_reached(load):
    """Decorated, static, class, property, nested, closure, generator, async and lambda; and all come back."""
    module, path = load(KINDS)
    assert every_answer(module) == ["KeyError"] * 12
    hotswap.swap("r1", change(path, KINDS, KINDS_FIXED))
    assert every_answer(module) == [None] * 12
    assert module.make("later")({}) is None
    made_meanwhile = module.make("meanwhile")
    hotswap.undo("r1")
    assert every_answer(module) == ["KeyError"] * 12
    with pytest.raises(KeyError):
        made_meanwhile({})


def test_frozen_objects_are_found_too(project, run_script):
    """A server that preloads the app and calls gc.freeze hides nothing.

    In an interpreter of its own: all that is alive is looked through, and among the tests that is very much.
    """
    (project / "shop.py").write_bytes(text(PRICE))
    (project / "fixed.py").write_bytes(text(PRICE_FIXED))
    done = run_script("""
        import gc
        from pathlib import Path

        import shop
        from homeostasis.monitoring import hotswap

        before, after = Path(shop.__file__).read_bytes(), Path("fixed.py").read_bytes()
        gc.freeze()
        hotswap.swap("r1", [hotswap.FileChange(shop.__file__, before, after)])
        gc.unfreeze()
        print(shop.price({}, "x"))
    """)
    assert done.stdout == "0\n"


def test_defaults_and_attributes_stay(load):
    """Only the code is replaced: changed defaults of the live object and its attributes keep their values."""
    before = "def f(a, b=1, *, c=2):\n    return {}['k'], a, b, c\n"
    after = "def f(a, b=1, *, c=2):\n    return 'k', a, b, c\n"
    module, path = load(before)
    module.f.__defaults__, module.f.__kwdefaults__, module.f.mark = (7,), {"c": 8}, "kept"
    hotswap.swap("r1", change(path, before, after))
    assert module.f(0) == ("k", 0, 7, 8)
    assert module.f.mark == "kept"


def test_an_lru_cache_is_emptied(load):
    """What the old code answered is not served any more."""
    before = "import functools\n@functools.lru_cache(maxsize=None)\ndef f(a):\n    return a - 1\n"
    after = before.replace("- 1", "+ 1")
    module, path = load(before)
    assert module.f(1) == 0
    hotswap.swap("r1", change(path, before, after))
    assert module.f(1) == 2
    hotswap.undo("r1")
    assert module.f(1) == 0


def test_a_new_import_is_brought_along(load):
    """Also one that joins an existing `from` list; the names stay bound after undo, for calls in flight."""
    before = "from math import pi\n\ndef f(x):\n    return pi * x['a']\n"
    after = "import json as j\nfrom math import floor, pi\n\ndef f(x):\n    return floor(pi) if x else j.dumps(x)\n"
    module, path = load(before)
    hotswap.swap("r1", change(path, before, after))
    assert (module.f({1: 1}), module.f({})) == (3, "{}")
    hotswap.undo("r1")
    with pytest.raises(KeyError):
        module.f({})
    hotswap.swap("r2", change(path, before, after))
    assert module.f({}) == "{}"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("def f(a): return 1", "def f(a, b=2): return 2", "f: its signature changes"),
        ("def f(a): return 1", "def f(a, /): return 2", "f: its signature changes"),
        ("def f(a): return 1", "def f(a, *b): return 2", "f: its signature changes"),
        ("def f(a=1): return 1", "def f(a=2): return 2", "f: its defaults change"),
        ("def f(*, a=1): return 1", "def f(*, a=2): return 2", "f: its defaults change"),
        ("def f(a): return 1", "def f(a: int): return 2", "f: its annotations change"),
        ("def f(a): return 1", "async def f(a): return 2", "f: its kind changes from FunctionDef to AsyncFunctionDef"),
        ("def f(a): return 1", "def f(a): yield 2", "f: its kind changes from function to generator"),
        (
            "async def f(a): return 1",
            "async def f(a): yield 2",
            "f: its kind changes from coroutine to async generator",
        ),
        ("def f(a): return 1", "@staticmethod\ndef f(a): return 2", "f: its decorators change"),
        ("f = lambda a: 1", "f = lambda a, b: 1", r"line 1 of the new text \(Assign in the module\)"),
        ("def f(a): return 1", "X = 1\ndef f(a): return X", r"line 1 of the new text \(Assign in the module\)"),
        ("def f(a): return 1", "def g(): return 2\ndef f(a): return g()", "g is new in the module"),
        ("def g(): return 2\ndef f(a): return 1", "def f(a): return 1", "g is removed from the module"),
        ("class A:\n x = 1\n def f(a): return 1", "class A:\n x = 2\n def f(a): return 2", "Assign in class A"),
        ("class A:\n def f(a): return 1", "class A:\n def g(a): 1\n def f(a): return 2", "g is new in class A"),
        ("class A:\n def f(a): return 1", "class A(int):\n def f(a): return 2", "A: its base classes or its metaclass"),
        ("class A:\n def f(a): return 1", "@str\nclass A:\n def f(a): return 2", "A: its decorators change"),
        ("class A:\n def f(a): return 1", "class A:\n def f(a): return super().f()", "other variables"),
        ("X = 1\ndef f(a): return 1", "def f(a): return 1", "removed or moved"),
        ("def f(a): return 1", "from os import open\ndef f(a): return open", "hide a built-in"),
        ("json = 1\ndef f(a): return 1", "import json\njson = 1\ndef f(a): return json", "already"),
        ("def f(a): return 1", "import no_such_module_x\ndef f(a): return 2", "cannot carry out a new import"),
        ("def f(a): return 1", "from os.path import *\ndef f(a): return 2", "import of *"),
        ("def f(a): return 1", "from __future__ import annotations\ndef f(a): return 2", "__future__"),
        ("from os import open\ndef f(a): return 1", "def f(a): return 2", "stops importing open"),
        ("def f(a): return 1", "def f(a) return 2", "not valid"),
        ("def g(): pass\ndef f(a): return 1\ndel f", "def g(): pass\ndef f(a): return 2\ndel f", "no live function"),
    ],
)
def test_what_a_swap_cannot_do_is_refused_with_the_reason(load, before, after, reason):
    """Everything that does its work at import is left to a reload, and nothing was changed."""
    module, path = load(before)
    function = vars(module.A)["f"] if hasattr(module, "A") else getattr(module, "f", None)
    code = getattr(function, "__code__", None)
    with pytest.raises(Refused, match=reason):
        hotswap.swap("r1", change(path, before, after))
    assert getattr(function, "__code__", None) is code
    assert hotswap.releases() == []


def test_live_code_that_differs_from_the_file_is_refused(load):
    """A worker that runs an older or edited text is not overwritten with something made from another one."""
    module, path = load("def price(cart, key):\n    return cart[key] * 2\n")
    with pytest.raises(Refused, match="runs other code than the file shows"):
        hotswap.swap("r1", change(path, PRICE, PRICE_FIXED))
    assert module.price({"a": 2}, "a") == 4


def test_a_worker_that_loaded_the_new_text_can_be_undone(load):
    """A process that started after the file was patched counts as swapped, and undo gives it the old bodies."""
    module, path = load(PRICE_FIXED)
    assert hotswap.swap("r1", change(path, PRICE, PRICE_FIXED)) == {
        "functions": 0,
        "modules": [module.__name__],
        "already": True,
    }
    assert hotswap.undo("r1") == {"known": True, "functions": 1}
    with pytest.raises(KeyError):
        module.price({}, "x")


def test_a_swap_in_the_other_direction_undoes_an_unknown_release(load):
    """Old and new exchanged, imports included: what a restarted worker is given."""
    before = "def f(x):\n    return x['a']\n"
    after = "import json\n\ndef f(x):\n    return json.dumps(x)\n"
    module, path = load(after)
    hotswap.swap(None, change(path, after, before))
    assert hotswap.releases() == []
    with pytest.raises(KeyError):
        module.f({})


def test_two_files_change_together_or_not_at_all(load):
    """One file that cannot be swapped keeps the other one from being swapped."""
    one, first = load(PRICE, "one")
    two, second = load("def g(): return 1\n", "two")
    code = one.price.__code__
    changes = change(first, PRICE, PRICE_FIXED) + change(second, "def g(): return 1\n", "def g(a): return 1\n")
    with pytest.raises(Refused):
        hotswap.swap("r1", changes)
    assert one.price.__code__ is code
    hotswap.swap("r1", change(first, PRICE, PRICE_FIXED) + change(second, "def g(): return 1\n", "def g(): return 2\n"))
    assert (one.price({}, "x"), two.g()) == (0, 2)


def test_a_file_that_is_not_imported_yet_must_hold_the_new_text(tmp_path):
    """Then a later import reads the patch by itself; otherwise it would bring the old bug back."""
    path = tmp_path.resolve() / "lazy_module.py"
    path.write_bytes(text(PRICE))
    with pytest.raises(Refused, match="not imported yet"):
        hotswap.swap("r1", change(str(path), PRICE, PRICE_FIXED))
    path.write_bytes(text(PRICE_FIXED))
    assert hotswap.swap("r1", change(str(path), PRICE, PRICE_FIXED))["functions"] == 0
    assert hotswap.undo("r1")["known"]


def test_a_new_file_that_nobody_loaded_stands_in_nobodys_way(load, tmp_path):
    """A patch brings its regression test along; a file of the same name that is loaded is another matter."""
    module, path = load(PRICE)
    test = FileChange(str(tmp_path.resolve() / "test_price.py"), None, b"def test(): pass\n")
    hotswap.swap("r1", [*change(path, PRICE, PRICE_FIXED), test])
    assert module.price({}, "x") == 0
    hotswap.undo("r1")
    with pytest.raises(Refused, match="another file of that name"):
        hotswap.swap("r2", [FileChange(path, None, text(PRICE_FIXED))])


def test_a_later_release_must_be_undone_first(load):
    """Undoing out of order would bring back code that neither release was made from."""
    again = PRICE_FIXED.replace("return 0", "return -1")
    module, path = load(PRICE)
    hotswap.swap("r1", change(path, PRICE, PRICE_FIXED))
    hotswap.swap("r2", change(path, PRICE_FIXED, again))
    with pytest.raises(Refused, match="runs other code"):
        hotswap.undo("r1")
    assert module.price({}, "x") == -1
    hotswap.undo("r2")
    hotswap.undo("r1")


def test_two_swaps_of_one_function_are_undone_as_a_stack(load):
    """Each undo brings back the very code object that ran before it, and keeps the names that the old bodies use."""
    before = "import json\n\ndef f(x):\n    return json.dumps(x)\n"
    first = before.replace("json", "math").replace("dumps", "floor")
    second = first.replace("import math", "import textwrap").replace("math.floor(x)", "textwrap.dedent(str(x))")
    module, path = load(before)
    codes = [module.f.__code__]
    for release, old, new in (("r1", before, first), ("r2", first, second)):
        hotswap.swap(release, change(path, old, new))
        codes.append(module.f.__code__)
    assert module.f(1.5) == "1.5"
    hotswap.undo("r2")
    assert module.f.__code__ is codes[1]
    assert module.f(1.5) == 1
    hotswap.undo("r1")
    assert module.f.__code__ is codes[0]
    assert module.f([1]) == "[1]"


RUNNING = """
    def numbers():
        yield "old"
        yield "old"

    async def stream():
        yield "old"
        yield "old"

    async def wait(gate):
        await gate
        return "old"
    """


def test_what_runs_keeps_its_old_code(load):
    """A started generator, async generator and coroutine end as they began; new ones begin with the new code."""
    module, path = load(RUNNING)

    async def both_sides():
        gate = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(module.wait(gate))
        numbers, stream = module.numbers(), module.stream()
        seen = [next(numbers), await stream.__anext__()]
        await asyncio.sleep(0)
        hotswap.swap("r1", change(path, RUNNING, RUNNING.replace("old", "new")))
        gate.set_result(None)
        seen += [next(numbers), await stream.__anext__(), await running]
        return seen, [*module.numbers()], [item async for item in module.stream()], await module.wait(gate)

    seen, *fresh = asyncio.run(both_sides())
    assert seen == ["old"] * 5
    assert fresh == [["new", "new"], ["new", "new"], "new"]


def test_all_closures_of_one_function_are_reached(load):
    """Hundreds of live functions share a code object; each keeps its own cells, and gets its old code back."""
    before = "def make(key):\n    def inner(d):\n        return d[key]\n    return inner\nkept = [make(i) for i in range(300)]\n"
    module, path = load(before)
    codes = {id(function.__code__) for function in module.kept}
    hotswap.swap("r1", change(path, before, before.replace("d[key]", "d.get(key, key)")))
    assert [function({}) for function in module.kept] == list(range(300))
    hotswap.undo("r1")
    assert {id(function.__code__) for function in module.kept} == codes


@pytest.mark.parametrize(
    ("old", "new", "change_of_kind"),
    [
        ("return [n]", "yield n", "from function to generator"),
        ("def inner", "async def inner", "from function to coroutine"),
        (
            "def inner(n):\n        return [n]",
            "async def inner(n):\n        yield n",
            "from function to async generator",
        ),
    ],
)
def test_an_inner_function_that_changes_its_kind_is_refused(load, old, new, change_of_kind):
    """Callers of the live one expect what it was."""
    before = "def make():\n    def inner(n):\n        return [n]\n    return inner\nkept = make()\n"
    module, path = load(before)
    with pytest.raises(Refused, match=rf"make\.inner: its kind changes {change_of_kind}"):
        hotswap.swap("r1", change(path, before, before.replace(old, new)))
    assert module.kept(1) == [1]


def test_an_inner_function_that_is_gone_is_refused_while_it_lives(load):
    """There is no code that the live one could get."""
    before = "def make():\n    def inner():\n        return 1\n    return inner\nkept = make()\n"
    _, path = load(before)
    after = "def make():\n    return None\nkept = make()\n"
    with pytest.raises(Refused, match="no counterpart"):
        hotswap.swap("r1", change(path, before, after))


def test_what_is_no_python_is_refused(tmp_path):
    """A template or a table is read by the app in its own way."""
    page = FileChange(str(tmp_path.resolve() / "page.html"), b"<a>", b"<b>")
    with pytest.raises(Refused, match=r"page\.html is not Python source"):
        hotswap.swap("r1", [page])


def test_a_file_that_is_being_imported_is_waited_for(load, tmp_path):
    """A worker may be asked while it starts: the swap follows the import."""
    source = "import threading\nwaiting, go = threading.Event(), threading.Event()\nwaiting.set()\ngo.wait(60)\n"
    before, after = source + "def f():\n    return 1\n", source + "def f():\n    return 2\n"
    (tmp_path / "slow_import_x.py").write_text(before)
    sys.path.insert(0, str(tmp_path))
    importer = threading.Thread(target=importlib.import_module, args=("slow_import_x",))
    importer.start()
    try:
        while not hasattr(sys.modules.get("slow_import_x"), "go"):
            threading.Event().wait(0.005)
        module = sys.modules["slow_import_x"]
        releasing = threading.Timer(0.1, module.go.set)
        releasing.start()
        hotswap.swap("r1", change(str(tmp_path.resolve() / "slow_import_x.py"), before, after))
        assert module.f() == 2
        hotswap.undo("r1")
    finally:
        importer.join()
        sys.path.remove(str(tmp_path))
        del sys.modules["slow_import_x"]


def test_crashes_of_the_new_code_are_counted(load):
    """Also of its inner functions; not those of other code, and none after the undo."""
    before = "def f(d):\n    return d['k']\n\ndef g(d):\n    return d['k']\n"
    after = before.replace("return d['k']", "return (lambda: d['other'])()", 1)
    module, path = load(before)

    def crash(function):
        try:
            function({})
        except KeyError as error:
            canary.note(error)

    crash(module.f)
    hotswap.swap("r1", change(path, before, after))
    crash(module.g)
    assert canary.report("r1") == {"crashes": 0, "last": None}
    crash(module.f)
    assert canary.report("r1") == {"crashes": 1, "last": "KeyError in f"}
    hotswap.undo("r1")
    crash(module.f)
    assert canary.report("r1")["crashes"] == 0


def test_alike_methods_are_told_apart(load):
    """Two classes with the same method: only the one that the patch names changes."""
    before = "class A:\n    def get(self, d):\n        return d['k']\n\nclass B:\n    def get(self, d):\n        return d['k']\n"
    after = before.replace("d['k']", "d.get('k')", 1)
    module, path = load(before)
    hotswap.swap("r1", change(path, before, after))
    assert module.A().get({}) is None
    with pytest.raises(KeyError):
        module.B().get({})


def test_alike_lambdas_on_one_line_are_refused(load):
    """They may share one code object, so nobody could tell which of them is meant."""
    before = "F, G = (lambda d: d['k']), (lambda d: d['k'])\n"
    module, path = load(before)
    after = before.replace("d['k']", "d.get('k')", 1)
    try:
        hotswap.swap("r1", change(path, before, after))
    except Refused:
        assert module.F.__code__.co_code == module.G.__code__.co_code
    else:
        assert module.F({}) is None
        with pytest.raises(KeyError):
            module.G({})


def test_a_closure_that_would_need_other_variables_is_refused(load):
    """Its cells cannot be made in a live function; nothing is changed, the outer function included."""
    before = "def make(a, b):\n    def inner():\n        return a\n    return inner\nkept = make(1, 2)\n"
    after = before.replace("return a\n", "return a + b\n")
    module, path = load(before)
    with pytest.raises(Refused, match="other variables"):
        hotswap.swap("r1", change(path, before, after))
    assert (module.kept(), module.make(1, 2)()) == (1, 1)
    del module.kept
    hotswap.swap("r1", change(path, before.replace("kept = make(1, 2)\n", "kept = make(1, 2)\n"), after))
    assert module.make(1, 2)() == 3


def test_an_inner_functions_changed_default_is_refused(load):
    """The default of a live closure was computed long ago, and a swap would not change it."""
    before = "def make():\n    def inner(n=3):\n        return n\n    return inner\nkept = make()\n"
    _, path = load(before)
    with pytest.raises(Refused, match="defaults"):
        hotswap.swap("r1", change(path, before, before.replace("n=3", "n=5")))


def test_verify_says_whether_the_new_text_runs(load):
    """What a reload is checked with."""
    _, path = load(PRICE)
    assert not hotswap.runs(change(path, PRICE, PRICE_FIXED))
    hotswap.swap("r1", change(path, PRICE, PRICE_FIXED))
    assert hotswap.runs(change(path, PRICE, PRICE_FIXED))


def test_calls_under_way_never_see_a_mixture(load):
    """Two threads call while bodies are swapped 20 times: every answer is one of the two."""
    before = "def f(x):\n    total = x + 1\n    return ('old', total)\n"
    after = "import json\n\ndef f(x):\n    text = json.dumps([x])\n    return ('new', text)\n"
    module, path = load(before)
    stop, wrong, seen = threading.Event(), [], set()

    def call():
        while not stop.is_set():
            try:
                answer = module.f(1)
            except Exception as error:
                wrong.append(error)
                return
            seen.add(answer)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        hotswap.swap("r1", change(path, before, after))
        hotswap.undo("r1")
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert seen <= {("old", 2), ("new", "[1]")}


def test_functools_partial_and_containers_reach_the_new_body(load):
    """A partial, a dict and a bound method hold the same function object, so they follow."""
    module, path = load(PRICE)
    held = functools.partial(module.price, {})
    hotswap.swap("r1", change(path, PRICE, PRICE_FIXED))
    assert held("x") == 0
