"""Rules, templates and refactors that repair crashes of Python services.

`matching` decides which rules fit an event, `code` and `facts` find out what the failing code does and where its values
come from, `refactors` and `templates` make the change.
"""

from __future__ import annotations

__version__ = "0.1.0"
