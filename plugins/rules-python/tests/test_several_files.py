"""Changes that follow a symbol over several files: real crashes, one patch, all files or none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from homeostasis.models import Event
from homeostasis.source import SourceTree
from homeostasis.testing import crash, incident_of
from homeostasis_rules_python.analyze import diagnose
from homeostasis_rules_python.catalog import shipped_rules, shipped_templates
from homeostasis_rules_python.code.case import Case, app_files
from homeostasis_rules_python.patching import patches

RENAMED = {
    "shop/__init__.py": "",
    "shop/mail.py": "class Mail:\n    def send(self, recipient, text=''):\n        return recipient\n",
    "shop/api.py": "from shop.mail import Mail\n\n\ndef greet():\n    mail = Mail()\n    return mail.send(to='a', text='b')\n",
    "shop/jobs.py": "import shop.mail\r\n\r\n\r\ndef remind():\r\n    # every week\r\n    return shop.mail.Mail( ).send(  to = 'c' )\r\n",
    "shop/other.py": "class Post:\n    def send(self, to):\n        return to\n\n\nx = Post().send(to='d')\n",
}


def test_a_renamed_parameter_is_followed_to_all_callers(heal: Any) -> None:
    """Calls that rope resolves change, in their own formatting; a method of the same name elsewhere does not."""
    done = heal(RENAMED, "from shop.api import greet; greet()")
    assert [edit.path for edit in done.best.edits] == ["shop/api.py", "shop/jobs.py"]
    assert done.best.edits[1].after == RENAMED["shop/jobs.py"].encode().replace(b"to = 'c'", b"recipient = 'c'")
    assert "2 calls pass `to`, in 2 files" in done.best.evidence
    check = "from shop import api, jobs, other; print(api.greet(), jobs.remind(), other.x)"
    assert done.after(check) == "a c d"


@pytest.mark.skipif(sys.version_info < (3, 10), reason="messages name the class from Python 3.10 on")
def test_of_two_methods_the_one_of_the_named_class_is_meant(heal: Any) -> None:
    """The message says whose `send` it was, where the code does not say what `mail` is."""
    files = {
        "mail.py": "class Mail:\n    def send(self, recipient):\n        return recipient\n\n\n"
        "class Post:\n    def send(self, address, stamp):\n        return address\n",
        "api.py": "def greet(mail):\n    return mail.send(to='a')\n",
    }
    done = heal(files, "import api, mail; api.greet(mail.Mail())")
    assert done.best.summary == "Pass `recipient` instead of `to` to `send`"
    assert done.after("import api, mail; print(api.greet(mail.Mail()))") == "a"


def test_a_moved_module_is_followed_through_all_imports(heal: Any) -> None:
    """Absolute, relative and dotted uses; the app runs afterwards."""
    files = {
        "shop/__init__.py": "",
        "shop/billing/__init__.py": "",
        "shop/billing/pricing.py": "def price(x):\n    return x\n",
        "shop/api.py": "from shop.pricing import price\n\n\ndef run():\n    return price(1)\n",
        "shop/jobs.py": "import shop.pricing\nfrom .pricing import price as p\n\n\ndef run():\n    return shop.pricing.price(2) + p(3)\n",
    }
    done = heal(files, "from shop.api import run; run()")
    assert done.best.summary == "Import `shop.billing.pricing` instead of `shop.pricing`"
    assert done.after("from shop import api, jobs; print(api.run(), jobs.run())") == "1 5"


def test_a_renamed_attribute_is_followed_to_annotated_uses(heal: Any) -> None:
    """Objects of which the code says what they are."""
    files = {
        "orders.py": "class Order:\n    def __init__(self, total):\n        self.total_amount = total\n",
        "api.py": "from orders import Order\n\n\ndef show(order):\n    return order.totalAmount\n\n\ndef text(order: Order):\n    return str(order.totalAmount)\n",
    }
    done = heal(files, "import api, orders; api.show(orders.Order(3))")
    assert done.after("import api, orders; o = orders.Order(3); print(api.show(o), api.text(o))") == "3 3"


def heal_in(project: Any, code: str) -> list[Any]:
    source, incident = SourceTree(project), incident_of(crash(project, code))
    found = diagnose(incident, source, list(shipped_rules()))
    return [patch for each in found for patch in patches(each, incident, source, shipped_templates())]


def test_a_file_that_goes_meanwhile_is_passed_over(project_factory: Any) -> None:
    """A deployment may remove files while a crash is looked at: the others are still found."""
    project = project_factory(RENAMED)
    source = SourceTree(project)
    case = Case(crash(project, "from shop.api import greet; greet()"), 0, source)
    assert "shop/other.py" in app_files(source)
    (project.root / "shop/other.py").unlink()
    assert sorted(tree.path for tree in case.trees(b"send")) == ["shop/api.py", "shop/jobs.py", "shop/mail.py"]


def test_a_caller_that_may_not_be_changed_is_left_alone(project_factory: Any) -> None:
    """Vendored callers are no part of the app: they are neither read nor changed."""
    project = project_factory(
        {**RENAMED, "shop/vendor/__init__.py": "", "shop/vendor/jobs.py": RENAMED["shop/jobs.py"]}
    )
    changed = {edit.path for patch in heal_in(project, "from shop.api import greet; greet()") for edit in patch.edits}
    assert changed == {"shop/api.py", "shop/jobs.py"}


def test_rope_runs_nothing_and_writes_nothing(project_factory: Any) -> None:
    """A repository's own rope configuration and modules are not executed, and no cache appears."""
    trap = "from pathlib import Path\nPath(__file__).with_name('SPRUNG').touch()\n"
    files = {
        **RENAMED,
        ".ropeproject/config.py": trap,
        "shop/trap.py": trap + "from shop.mail import Mail\nMail().send(to=1)\n",
    }
    project = project_factory(files)
    config = project.root / "pyproject.toml"
    config.write_text(config.read_text("utf-8") + '\n[tool.rope]\nextension_modules = ["shop.trap"]\n', "utf-8")
    before = {file for file in project.root.rglob("*") if "__pycache__" not in file.parts}
    made = heal_in(project, "from shop.api import greet; greet()")
    assert any("shop/trap.py" in {edit.path for edit in patch.edits} for patch in made)
    assert {file for file in project.root.rglob("*") if "__pycache__" not in file.parts} == before


def test_all_files_or_none(heal: Any) -> None:
    """When one of the files changes before the patch is applied, none is written."""
    import pytest

    from homeostasis.errors import PatchConflict

    done = heal(RENAMED, "from shop.api import greet; greet()")
    other = Path(done.project.root, "shop/jobs.py")
    other.write_text("# changed\n", "utf-8")
    with pytest.raises(PatchConflict):
        done.best.apply(done.project.root)
    assert Path(done.project.root, "shop/api.py").read_text("utf-8") == RENAMED["shop/api.py"]


def test_events_survive_json(project_factory: Any) -> None:
    """The facts of several files are found again from a stored event."""
    project = project_factory(RENAMED)
    event = crash(project, "from shop.api import greet; greet()")
    again = Event.model_validate(json.loads(event.model_dump_json()))
    source = SourceTree(project)
    assert diagnose(incident_of(again), source, list(shipped_rules()))
