"""What the source of the app says: failing nodes, origins of values, error style, conventions."""
