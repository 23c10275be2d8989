"""Run a tool's command line with an interpreter that the tool is not installed for.

    python launcher.py FOLDER MODULE ARGUMENT...

FOLDER goes on the import path, last, and MODULE's `main()` is called as if ARGUMENTs had been its command line.
"""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    folder, name, *arguments = sys.argv[1:]
    sys.path[0] = str(Path.cwd())
    sys.path.append(folder)
    sys.argv = [name.partition(".")[0], *arguments]
    sys.exit(importlib.import_module(name).main())
