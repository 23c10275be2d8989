"""Run one command under capture, inside a sandbox: `python -m homeostasis.monitoring.command`.

Standard input is one JSON object `{"argv": [...], "cwd": "."}`. The last line of standard output is one JSON object
`{"returncode": 1, "events": [...], "failures": [{"test": "test_x.py::test_a", "fingerprint": null}],
"output": "..."}`: the exit status (negative for a signal), the events of the exceptions that nobody caught, the tests
of pytest that failed, and the end of what the command wrote. The command's own output goes to a file, so it cannot be
taken for the answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from homeostasis.monitoring.bootstrap import FAILURE, capturing, read

MAX_OUTPUT = 20_000
"""Bytes of the command's output that are kept, from its end."""


def run(argv: list[str], cwd: str) -> dict[str, Any]:
    """Run the command and return the answer as above; `error` instead of a status if it cannot be started."""
    with tempfile.TemporaryDirectory(prefix="capture-") as directory, tempfile.TemporaryFile() as output:
        env = capturing(os.environ, directory)
        try:
            done = subprocess.run(
                argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        except OSError as error:
            return {"error": f"{argv[0]} cannot be run: {error.strerror}", "events": [], "output": ""}
        output.seek(max(0, output.seek(0, os.SEEK_END) - MAX_OUTPUT))
        text = output.read().decode("utf-8", "replace")
        failures = read(Path(directory), FAILURE)
        return {"returncode": done.returncode, "events": read(Path(directory)), "failures": failures, "output": text}


def main() -> None:
    """Read the question, run the command, write the answer."""
    question = json.load(sys.stdin)
    sys.stdout.write("\n" + json.dumps(run(question["argv"], question.get("cwd") or ".")) + "\n")


if __name__ == "__main__":
    main()
