"""The repair benchmark: crashes that no rule was made for, what becomes of them, and whether it is right."""
