"""Code for pydantic 1 that runs under pydantic 2, and models that stored data does not fit."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from homeostasis.models import Effect

pytestmark = pytest.mark.skipif(pydantic.VERSION < "2", reason="these are the errors of pydantic 2")
HEAD = "from typing import Optional\n\nfrom pydantic import BaseModel, Field, constr, field_validator, root_validator\n\n\n"
CASES = {
    "optional": ("class A(BaseModel):\n    n: Optional[int]\n\n\ndef f():\n    return A(**{}).n\n", "pydantic-optional-default", "None"),
    "number-as-text": ("class A(BaseModel):\n    n: str\n\n\ndef f():\n    return A(**{'n': 5}).n * 2\n", "pydantic-number-as-text", "55"),
    "orm-mode": (
        "class Row:\n    n = 1\n\n\nclass A(BaseModel):\n    n: int\n\n    class Config:\n        orm_mode = True\n\n\n"
        "def f():\n    return A.from_orm(Row()).n\n", "pydantic-orm-mode", "1"),
    "attributes": ("class Row:\n    n = 1\n\n\nclass A(BaseModel):\n    n: int\n\n\ndef f():\n    return A.model_validate(Row()).n\n", "pydantic-orm-mode", "1"),
    "root-validator": (
        "class A(BaseModel):\n    n: int\n\n    @root_validator\n    def check(cls, values):\n        return values\n\n\n"
        "def f():\n    return A(n=1).n\n", "pydantic-root-validator", "1"),
    "pattern": ("class A(BaseModel):\n    n: str = Field(regex='^a')\n\n\ndef f():\n    return A(n='ab').n\n", "pydantic-field-pattern", "ab"),
    "constr": ("Name = constr(regex='^a')\n\n\nclass A(BaseModel):\n    n: Name\n\n\ndef f():\n    return A(n='ab').n\n", "pydantic-field-pattern", "ab"),
    "unannotated": ("class A(BaseModel):\n    n = 5\n\n\ndef f():\n    return A().n\n", "pydantic-unannotated-field", "5"),
    "json": ("class A(BaseModel):\n    n: int\n\n\ndef f():\n    return A(n=1).json(sort_keys=True)\n", "pydantic-json-arguments", '{"n": 1}'),
    "info": (
        "class A(BaseModel):\n    low: int\n    high: int\n\n    @field_validator('high')\n    def check(cls, value, values):\n"
        "        return max(value, values['low'])\n\n\ndef f():\n    return A(low=3, high=1).high\n", "pydantic-validation-info", "3"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("plain", [False, True], ids=["captured", "lines-only"])
@pytest.mark.parametrize("name", list(CASES))
def test_the_model_works_under_pydantic_2(heal: Any, name: str, plain: bool) -> None:
    """The crash of the real library is understood, and the model does what it did under pydantic 1."""
    source, rule, expected = CASES[name]
    done = heal({"shop.py": HEAD + source}, "import shop; shop.f()", plain=plain)
    assert done.best.rule_id == rule
    assert done.best.effect is Effect.CORRECT
    assert done.after("import shop; print(shop.f())") == expected


def test_settings_are_imported_from_their_package(heal: Any) -> None:
    """The import is the one of pydantic-settings; whether that is installed, the sandbox finds out."""
    done = heal({"shop.py": "from pydantic import BaseModel, BaseSettings\n"}, "import shop")
    assert done.best.rule_id == "pydantic-settings-import"
    assert done.best.edits[0].after == b"from pydantic import BaseModel\nfrom pydantic_settings import BaseSettings\n"
