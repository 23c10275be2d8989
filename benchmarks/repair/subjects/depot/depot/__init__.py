"""A warehouse: articles, bins and movements."""
