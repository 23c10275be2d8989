"""The plugins that come with core: ordinary ones, found and allowed like any other."""

from __future__ import annotations
