"""`python -m homeostasis.cli` is `homeostasis`."""

from __future__ import annotations

import sys

from homeostasis.cli import main

if __name__ == "__main__":
    sys.exit(main())
