"""Numbers with thousands separators, and a limit on the size of patches."""
