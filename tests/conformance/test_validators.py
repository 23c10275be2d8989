"""The built-in validators keep their contract."""

from __future__ import annotations

import homeostasis.builtin.compile
import homeostasis.builtin.forbidden_code
import homeostasis.builtin.healthy_traffic
import homeostasis.builtin.own_tests
import homeostasis.builtin.reproduction
from homeostasis.testing.conformance import ValidateConformance


class TestCompile(ValidateConformance):
    name = "compile"
    plugin = homeostasis.builtin.compile


class TestReproduction(ValidateConformance):
    name = "reproduction"
    plugin = homeostasis.builtin.reproduction


class TestHealthyTraffic(ValidateConformance):
    name = "healthy-traffic"
    plugin = homeostasis.builtin.healthy_traffic


class TestOwnTests(ValidateConformance):
    name = "own-tests"
    plugin = homeostasis.builtin.own_tests
    config = {"validate": {"test_command": "python -m pytest -q"}}


class TestForbiddenCode(ValidateConformance):
    name = "forbidden-code"
    plugin = homeostasis.builtin.forbidden_code
