"""Several sessions side by side, each in a thread of its own."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import List, Sequence

from homeostasis.cli.demo.service import EXAMPLES, copy_example, find_examples, free_ports, require_installed
from homeostasis.cli.demo.session import Outcome, Screen, Session
from homeostasis.cli.demo.traffic import load_traffic


def run_examples(names: Sequence[str], directory: Path, screen: Screen) -> List[Outcome]:
    """Copy the named examples (`flask`, `fastapi`) below `directory` and heal all of them at the same time.

    Raises:
        UsageError: an example or something that it needs is missing.
        HomeostasisError: a service does not start, or an engine cannot work.
        KeyboardInterrupt: the user wanted the end; everything has been stopped.
    """
    source = find_examples()
    examples = [EXAMPLES[name] for name in names]
    for example in examples:
        require_installed(example)
    sessions = []
    for example, port in zip(examples, free_ports(len(examples))):
        copy_example(source / example.name, directory / example.name)
        traffic = load_traffic(source / example.name / "traffic.json")
        sessions.append(Session(example, directory / example.name, port, traffic, screen))
    _run_all(sessions, screen)
    return [session.outcome for session in sessions]


def _run_all(sessions: List[Session], screen: Screen) -> None:
    problems: List[BaseException] = []

    def run(session: Session) -> None:
        try:
            session.run()
        except BaseException as error:  # raised again below, in the main thread
            problems.append(error)

    threads = [threading.Thread(target=run, args=(session,), name=session.outcome.app) for session in sessions]
    terminated = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.05)
    except KeyboardInterrupt:
        screen.say("demo", "stopping; the check that is under way ends first")
        raise
    finally:
        for session in sessions:
            session.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        signal.signal(signal.SIGTERM, terminated)
    if problems:
        raise problems[0]
