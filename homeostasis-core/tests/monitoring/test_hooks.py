from __future__ import annotations

import json
from typing import Any


def events(records: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    return [(r["exceptions"][0]["type"], r["handled"]) for r in records if r["record"] == "event"]


def test_logged_threads_and_tasks(run_script: Any, spooled: Any) -> None:
    """Logged tracebacks, crashes of threads and exceptions of forgotten tasks are captured, and the earlier hooks run."""
    done = run_script("""
        import asyncio, gc, logging, sys, threading
        seen = []
        threading.excepthook = lambda arguments: seen.append(arguments.exc_type.__name__)
        from homeostasis.monitoring import client, setup_monitoring
        setup_monitoring(); setup_monitoring()

        def crash(kind):
            raise kind("x")

        thread = threading.Thread(target=crash, args=(KeyError,)); thread.start(); thread.join()
        quiet = logging.getLogger("quiet"); quiet.propagate = False; quiet.addHandler(logging.NullHandler())
        for level in ("error", "warning"):
            try:
                crash(ValueError if level == "error" else OSError)
            except Exception as error:
                getattr(quiet, level)("it failed", exc_info=True)
                quiet.error("again", exc_info=error) if level == "error" else None
        quiet.error("no traceback", exc_info=(None, None, None))

        async def main():
            asyncio.ensure_future(fail())
            await asyncio.sleep(0.01)
            gc.collect()

        async def fail():
            crash(ZeroDivisionError)

        asyncio.run(main())
        gc.collect()
        print(seen)
    """)
    assert done.stdout.strip() == "['KeyError']"
    assert sorted(events(spooled())) == [("KeyError", False), ("ValueError", True), ("ZeroDivisionError", False)]


def test_excepthook_chains(run_script: Any, spooled: Any) -> None:
    """An uncaught exception is captured and reaches the hook that was there before."""
    done = run_script(
        """
        import sys
        sys.excepthook = lambda kind, error, traceback: print("mine", kind.__name__)
        from homeostasis.monitoring import setup_monitoring
        setup_monitoring()
        raise LookupError("x")
        """,
        check=False,
    )
    assert done.stdout.strip() == "mine LookupError"
    assert events(spooled()) == [("LookupError", False)]


def test_logging_stays_as_it_was(run_script: Any) -> None:
    """basicConfig still configures, and without handlers errors still reach standard error."""
    done = run_script("""
        import logging
        from homeostasis.monitoring import setup_monitoring
        setup_monitoring()
        assert not logging.getLogger().handlers
        logging.getLogger("a").error("by the last resort")
        logging.basicConfig(format="configured %(message)s")
        logging.getLogger("a").error("now")
    """)
    assert done.stderr.splitlines() == ["by the last resort", "configured now"]


def test_level(run_script: Any, spooled: Any) -> None:
    """`level` decides which log records count."""
    run_script(
        """
        import logging
        from homeostasis.monitoring import setup_monitoring
        setup_monitoring()
        logging.getLogger("a").addHandler(logging.NullHandler())
        try:
            1/0
        except ZeroDivisionError:
            logging.getLogger("a").warning("x", exc_info=True)
        """,
        HOMEOSTASIS_LEVEL="WARNING",
    )
    assert events(spooled()) == [("ZeroDivisionError", True)]


def test_memory_transport(run_script: Any, project: Any) -> None:
    """With HOMEOSTASIS_TRANSPORT=memory the records stay in the process, and nothing is written."""
    done = run_script(
        """
        import json
        from homeostasis.monitoring import capture_exception, client, setup_monitoring
        setup_monitoring()
        for _ in range(2):
            try:
                1/0
            except ZeroDivisionError as error:
                capture_exception(error)
        print(json.dumps(client.current().records))
        """,
        HOMEOSTASIS_TRANSPORT="memory",
    )
    assert len(json.loads(done.stdout)) == 2
    assert not (project / ".homeostasis").exists()
