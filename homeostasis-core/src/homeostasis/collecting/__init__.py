"""What collectors of foreign events share: how a crash that something else reported becomes an event of the project.

A collector reads its format into a `Crash` and gives it to an `EventMaker`, which maps paths, completes frames from the
project's files, takes secrets out, and counts what it has made an event of already.
"""
