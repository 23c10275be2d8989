"""The zygote: an interpreter of the app that has imported its libraries already, from which runs are forked.

It runs on the app's interpreter (3.8 or later, standard library only), inside the walls of a trial, as
`python -c BOOT DIRECTORY SPEC`: this directory is imported as `homeostasis_zygote`. SPEC is a JSON object::

    {"descriptor": its end of a pair of sockets, "nest": a directory, private to it, with the tree in `lower`,
     "root": the project's, "libraries": [directories that do not belong to the project, wherever they lie, ...]}

`homeostasis_sandbox_venv.warm` is the other side.

`serve` waits for requests, `preload` imports and looks whether forking is safe, `cell` makes the namespaces and the
processes of one run, `mounts` its files, `loopback` its network; `processes` limits and collects, `linux` calls the
kernel.
"""

from __future__ import annotations

BOOT = """\
import sys
from importlib.util import module_from_spec, spec_from_file_location
place = sys.argv[1]
spec = spec_from_file_location("homeostasis_zygote", place + "/__init__.py", submodule_search_locations=[place])
sys.modules[spec.name] = module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
from homeostasis_zygote import serve
serve.main(sys.argv[2])
"""
"""What `python -c` runs. The directory is not put on `sys.path`, where its modules could hide the app's."""
