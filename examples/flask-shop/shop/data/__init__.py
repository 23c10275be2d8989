"""The data that the shop starts with."""
