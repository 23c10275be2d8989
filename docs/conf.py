"""Sphinx configuration: `nox -s docs` builds the pages with warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import homeostasis

project = "Homeostasis"
author = "Homeostasis contributors"
project_copyright = "Homeostasis contributors"
version = release = homeostasis.__version__

extensions = ["myst_parser", "homeostasis_reference"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"Homeostasis {release}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
