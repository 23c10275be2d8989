"""Calls that look like a dropped value and do something, and other patches that would be wrong in one case only."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from typing import Any, List

import libcst as cst
import pytest

from homeostasis.source import SourceTree
from homeostasis.testing import ProjectFactory, crash
from homeostasis_rules_python.code.case import Case
from homeostasis_rules_python.code.installed import defining_modules
from homeostasis_rules_python.code.tree import Tree
from homeostasis_rules_python.code.web import handlers, imported_modules

ACTING = {
    "thread": "import threading\n\n\ndef run(name):\n    worker = threading.Thread(target=print)\n    worker.start()\n    worker.join()\n",
    "file": "import os\n\n\ndef run(name):\n    os.replace(__file__, __file__)\n",
    "path": "from pathlib import Path\n\n\ndef run(name):\n    Path(__file__).replace(__file__)\n",
}
PURE = {
    "join": "def run(name):\n    ' '.join([name])\n",
    "path-join": "import os\n\n\ndef run(name):\n    os.path.join('', name)\n",
    "replace": "def run(name):\n    name.replace('b', 'a')\n",
    "title": "def run(name):\n    name.title()\n",
}
CALLER = "\n\ndef f():\n    made = run('a')\n    return made.upper()\n"


@pytest.mark.parametrize("name", list(ACTING))
def test_what_acts_is_not_taken_for_a_dropped_value(heal: Any, name: str) -> None:
    """Returning the None of a call that is made for what it does mends nothing."""
    done = heal({"shop.py": ACTING[name] + CALLER}, "import shop; shop.f()")
    assert "Return the result of `run`" not in [patch.summary for patch in done.patches]


@pytest.mark.parametrize("name", list(PURE))
def test_a_dropped_value_is_returned(heal: Any, name: str) -> None:
    """A call that only gives a value was meant to be returned."""
    done = heal({"shop.py": PURE[name] + CALLER}, "import shop; shop.f()")
    assert done.best.summary == "Return the result of `run`"
    assert done.after("import shop; print(shop.f())") == "A"


def test_an_index_that_binds_loosely_is_compared_as_a_whole(heal: Any) -> None:
    """`a or b` as an index stands in parentheses in the test of its bounds."""
    source = "def f(rows, a, b):\n    return rows[a or b]\n"
    done = heal({"shop.py": source}, "import shop; shop.f([1, 2], 0, 5)")
    assert done.after("import shop; print(shop.f([1, 2], 0, 5), shop.f([1, 2], 7, 0), shop.f([1, 2], 1, 0))") == (
        "None None 2"
    )


FIRST = (
    "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.before_first_request\nasync def prepare():\n    pass\n"
)


def test_a_coroutine_is_not_called_when_the_app_is_made(heal: Any) -> None:
    """A plain call of it would only make a coroutine that nobody awaits; a function is called."""
    pytest.importorskip("flask", reason="flask is not installed: pip install flask")
    assert heal({"app.py": FIRST}, "import app").patches == []
    plain = heal({"app.py": FIRST.replace("async ", "")}, "import app")
    assert plain.best.summary == "Call `prepare` when the app is made"


@pytest.mark.skipif(sys.version_info < (3, 10), reason="collections still has Mapping on Python 3.9")
@pytest.mark.parametrize(("count", "told"), [(1, "1 other file would"), (2, "2 other files would")])
def test_other_files_are_counted(heal: Any, count: int, told: str) -> None:
    """What else would have failed to import is said in its number."""
    line = "from collections import Mapping\n"
    others = {f"shop/other{number}.py": line for number in range(count)}
    done = heal({"shop/__init__.py": "", "shop/api.py": line, **others}, "import shop.api")
    assert f"{told} have failed next" in done.best.evidence
    assert len(done.best.edits) == count + 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_a_pipe_among_libraries_is_not_waited_for(project_factory: ProjectFactory) -> None:
    """The prefix that an event names may hold anything; only plain files are read."""
    project = project_factory({"app.py": "", "env/lib/python3.9/site-packages/lib/__init__.py": "wanted = 1\n"})
    os.mkfifo(project.root / "env/lib/python3.9/site-packages/lib/pipe.py")
    event = crash(project, "import app; app.missing")
    runtime = event.runtime.model_copy(update={"executable": str(project.root / "env/bin/python")})
    case = Case(event.model_copy(update={"runtime": runtime}), 0, SourceTree(project))
    found: List[str] = []
    reading = threading.Thread(target=lambda: found.extend(defining_modules(case, "lib", "wanted")), daemon=True)
    reading.start()
    reading.join(30)
    assert found == ["lib"]


def test_what_is_kept_of_a_tree_goes_with_it() -> None:
    """A tree that is no longer kept is freed, whatever was worked out of it."""
    tree = Tree("a.py", cst.parse_module("import os\n\n\n@app.route('/')\ndef f():\n    pass\n"))
    assert imported_modules(tree) == {"os"}
    assert handlers(tree) is handlers(tree)
    assert len(handlers(tree)) == 1
    gone = weakref.ref(tree)
    del tree
    gc.collect()
    assert gone() is None
