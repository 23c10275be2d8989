"""The plugin keeps the contracts of the hooks that it implements."""

import homeostasis_example_thousands.plugin

from homeostasis.testing.conformance import RulesConformance, ValidateConformance


class TestThousands(RulesConformance, ValidateConformance):
    name = "example-thousands"
    plugin = homeostasis_example_thousands.plugin
    settings = {"max_lines": 10}
