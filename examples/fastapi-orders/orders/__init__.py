"""Order tracking, stock and reports for a warehouse."""
