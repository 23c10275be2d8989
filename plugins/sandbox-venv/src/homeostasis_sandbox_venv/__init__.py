"""A sandbox of Homeostasis: a copy of the tree, an overlay of the app's environment, and the best isolation here.

`plugin` holds the hooks, `runner` a trial. For fresh processes, `fresh` makes what they need: `tree` and `overlayfs`
the tree, `interpreter` and `overlay` the environment; `isolation` builds the walls and `process` runs what is inside
them. For forked ones, `zygotes` keeps what `warm` talks to, the program in `zygote`, and `layers` says what a trial
changes. `directories` takes care that nothing is left behind.
"""

from __future__ import annotations

__all__ = ["__version__"]
__version__ = "0.1.0"
