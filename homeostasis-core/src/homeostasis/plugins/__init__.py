"""Finding plugins, refusing the broken ones with a sentence, and calling the rest one at a time."""

from __future__ import annotations

from homeostasis.plugins.discovery import GROUP, Found, discover
from homeostasis.plugins.failures import Failure, PluginState
from homeostasis.plugins.manager import Plugins, load_plugins

__all__ = ["GROUP", "Failure", "Found", "PluginState", "Plugins", "discover", "load_plugins"]
