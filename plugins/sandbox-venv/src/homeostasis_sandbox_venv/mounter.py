# ruff: noqa: PTH100, PTH102, PTH103, PTH106, PTH118, PTH120 - pathlib costs milliseconds at each trial
"""The program that mounts an overlay of the live tree in namespaces of its own, and waits until they are taken up.

It runs on the orchestrator's interpreter as `python -I -S mounter.py SPEC`. No mount is ever visible on the machine:
the orchestrator keeps the namespaces open by descriptors, so the kernel unmounts all when it ends, however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any, Dict

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from homeostasis_sandbox_venv.zygote import linux


def main(spec: Dict[str, Any]) -> None:
    """Mount, say so, and wait for the end of standard input."""
    privileged = _enter_namespaces()
    linux.mount("none", "/", None, linux.REC | linux.PRIVATE)
    options = f"lowerdir={spec['lower']},upperdir={spec['upper']},workdir={spec['work']}"
    linux.mount("overlay", spec["tree"], "overlay", 0, options if privileged else options + ",userxattr")
    probe = os.path.join(spec["tree"], ".homeostasis")
    os.mkdir(probe)  # over a whiteout: needs the attributes that not every file system has
    os.rmdir(probe)
    for inside in spec["bound"]:
        _bind_read_only(os.path.join(spec["root"], inside), os.path.join(spec["tree"], inside))
    if spec["cover"]:
        linux.mount(spec["tree"], spec["root"], None, linux.BIND | linux.REC)
    sys.stdout.write("user\n" if not privileged else "root\n")
    sys.stdout.flush()
    sys.stdin.read()


def _bind_read_only(source: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    linux.mount(source, target, None, linux.BIND | linux.REC)
    linux.make_read_only(target)


def _enter_namespaces() -> bool:
    """Enter a mount namespace of our own; whether that went without a user namespace, as it does for root."""
    if os.getuid() == 0:
        with contextlib.suppress(OSError):
            linux.unshare(linux.NEWNS)
            return True
    linux.unshare(linux.NEWUSER | linux.NEWNS)
    return False


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except OSError as error:
        sys.exit(str(error))
