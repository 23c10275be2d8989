"""What collectors share that ask a log store again and again: the cursor, and the client."""
