"""The validator counts what a patch adds and removes."""

import pytest
from homeostasis_example_thousands.plugin import Settings, homeostasis_validate

from homeostasis.models import Outcome
from homeostasis.testing import patch_of


@pytest.mark.parametrize(("limit", "outcome"), [(2, Outcome.ACCEPTED), (1, Outcome.REJECTED)])
def test_the_limit_decides(limit, outcome):
    """A changed line counts twice: once as removed, once as added."""
    patch = patch_of({"a.py": (b"x = 1\n", b"x = 2\n")})
    assert homeostasis_validate(patch, Settings(max_lines=limit)).outcome is outcome
