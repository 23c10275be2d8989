"""The shop's HTTP side."""
