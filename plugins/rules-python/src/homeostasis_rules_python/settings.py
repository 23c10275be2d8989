"""`[tool.homeostasis.rules-python]`."""

from __future__ import annotations

from typing import Tuple

from pydantic import Field

from homeostasis.config import Table


class RulesPythonSettings(Table):
    """`[tool.homeostasis.rules-python]`."""

    rules: Tuple[str, ...] = Field(
        default=(),
        description="Directories with the project's own rules, relative to the project. One that has the id of a "
        "plugin's rule replaces it.",
    )
    templates: Tuple[str, ...] = Field(
        default=(),
        description="Directories with the project's own templates, relative to the project. One that has the id of a "
        "plugin's template replaces it.",
    )
    disable: Tuple[str, ...] = Field(
        default=(), description="Ids of rules that are not used; `homeostasis rules list` shows them as disabled."
    )
