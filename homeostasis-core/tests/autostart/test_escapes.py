"""What nobody catches, in each place where that can happen, in processes that know nothing of Homeostasis."""

from __future__ import annotations

from typing import Any

import pytest


def summary(events: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    found = [(event["exceptions"][0]["type"], event["exceptions"][0]["message"], event["handled"]) for event in events]
    return sorted(found)


SOURCES = {
    "process": ("raise ValueError('here')\n", False),
    "thread": ("import threading\nt = threading.Thread(target=crash)\nt.start()\nt.join()\n", False),
    "timer": ("import threading\nt = threading.Timer(0, crash)\nt.start()\nt.join()\n", False),
    "finalizer": ("class A:\n    def __del__(self):\n        crash()\nA()\n", False),
    "forgotten task": (
        "import asyncio, gc\nasync def task():\n    crash()\nasync def main():\n    asyncio.ensure_future(task())\n"
        "    await asyncio.sleep(0)\n    await asyncio.sleep(0)\nasyncio.run(main())\ngc.collect()\n",
        False,
    ),
    "callback of a loop": (
        "import asyncio\nasync def main():\n    loop = asyncio.get_running_loop()\n"
        "    loop.set_exception_handler(lambda *_: None)\n    loop.call_soon(crash)\n    await asyncio.sleep(0.001)\n"
        "asyncio.run(main())\n",
        False,
    ),
    "logged": ("import logging\ntry:\n    crash()\nexcept ValueError:\n    logging.exception('failed')\n", True),
    "nested interpreter": (
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'raise ValueError(\"here\")'])\n",
        False,
    ),
    "forked child": (
        "import os, sys\npid = os.fork()\nif pid == 0:\n    crash()\nos.waitpid(pid, 0)\n",
        False,
    ),
    "pool that logs": (
        "import logging, os\npid = os.fork()\nif pid == 0:\n    try:\n        crash()\n    except ValueError:\n"
        "        logging.exception('task failed')\n    raise SystemExit\nos.waitpid(pid, 0)\n",
        True,
    ),
}


@pytest.mark.parametrize("source", SOURCES)
def test_sources(run: Any, events: Any, source: str) -> None:
    """Each exception is one event, with the frames of the app, and what the program printed before it still prints."""
    code, handled = SOURCES[source]
    done = run("def crash():\n    raise ValueError('here')\n\n" + code)
    assert summary(events()) == [("ValueError", "here", handled)], done.stderr
    assert source in ("callback of a loop",) or "ValueError: here" in done.stderr
    assert done.returncode == (1 if source == "process" else 0)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(run: Any, events: Any, method: str) -> None:
    """Children of multiprocessing, which end without exit handlers, report what escapes from them, and what they log."""
    done = run(
        f"""
        import logging, multiprocessing, sys

        class Worker(multiprocessing.get_context({method!r}).Process):
            def run(self):
                try:
                    [][0]
                except IndexError:
                    logging.exception("logged")
                raise ValueError("here")

        if __name__ == "__main__":
            worker = Worker()
            worker.start()
            worker.join()
            print(worker.exitcode)
        """
    )
    assert done.stdout == "1\n", done.stderr
    assert summary(events()) == [("IndexError", "list index out of range", True), ("ValueError", "here", False)]


@pytest.mark.parametrize("setup", ["", "from homeostasis.monitoring import setup_monitoring\nsetup_monitoring()\n"])
def test_os_exit(run: Any, events: Any, setup: str) -> None:
    """What a process, or a child that it forked, logs right before `os._exit` is not lost, and its status stays."""
    done = run(
        f"""
{setup}
import logging, os

def log(kind):
    try:
        raise kind("here")
    except Exception:
        logging.exception("failed")

children = []
for kind in (KeyError, IndexError, ValueError):
    pid = os.fork()
    if pid == 0:
        log(kind)
        os._exit(7)
    children.append(pid)
assert [os.WEXITSTATUS(os.waitpid(pid, 0)[1]) for pid in children] == [7, 7, 7]
log(LookupError)
os._exit(status=5)
"""
    )
    assert done.returncode == 5, done.stderr
    assert [one[0] for one in summary(events())] == ["IndexError", "KeyError", "LookupError", "ValueError"]


def test_os_exit_of_a_process_that_heard_nothing(run: Any, project: Any) -> None:
    """It ends as it always did, and imports nothing first."""
    done = run("import os, sys\nprint('homeostasis.monitoring' in sys.modules, flush=True)\nos._exit(4)\n")
    assert (done.stdout, done.returncode) == ("False\n", 4)
    assert not (project / ".homeostasis" / "spool").exists()


def test_becoming_another_program(run: Any, events: Any) -> None:
    """What is logged right before `os.exec...` is not lost, also where some of its attempts fail."""
    done = run(
        """
        import logging, os, sys

        def log(kind):
            try:
                raise kind("here")
            except Exception:
                logging.exception("failed")

        log(KeyError)
        try:
            os.execvp("no-such-program", ["no-such-program"])
        except OSError:
            log(ValueError)
        os.execlp(sys.executable, sys.executable, "-c", "print('another')")
        """
    )
    assert done.stdout == "another\n", done.stderr
    assert [one[0] for one in summary(events())] == ["KeyError", "ValueError"]


@pytest.mark.parametrize("pool", ["multiprocessing.Pool(1)", "concurrent.futures.ProcessPoolExecutor(1)"])
def test_pools(run: Any, events: Any, pool: str) -> None:
    """An exception that a pool carries to its parent is the parent's to catch."""
    done = run(
        f"""
        import concurrent.futures, multiprocessing, warnings
        warnings.simplefilter("ignore")

        def work(number):
            return 1 / number

        if __name__ == "__main__":
            with {pool} as pool:
                assert list(pool.map(work, [1, 2])) == [1, 0.5]
                try:
                    list(pool.map(work, [0]))
                except ZeroDivisionError:
                    print("caught")
        """
    )
    assert done.stdout == "caught\n", done.stderr
    assert events() == []


@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit(3)",
        "raise KeyboardInterrupt",
        "import asyncio\nasync def main():\n    t = asyncio.ensure_future(asyncio.sleep(9))\n    t.cancel()\nasyncio.run(main())",
        "import threading\nt = threading.Thread(target=exit)\nt.start()\nt.join()",
    ],
)
def test_ends_that_are_meant(run: Any, events: Any, code: str) -> None:
    """Exits, interrupts and cancellations are no incidents."""
    run(code)
    assert events() == []


LOGGERS = {
    "structlog to standard output": "import structlog\nlog = structlog.get_logger()\n",
    "structlog as JSON through logging": (
        "import logging, structlog\nlogging.basicConfig()\n"
        "structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],"
        " logger_factory=structlog.stdlib.LoggerFactory(), wrapper_class=structlog.stdlib.BoundLogger)\n"
        "log = structlog.get_logger()\n"
    ),
    "structlog imported late": "def make():\n    import structlog\n    return structlog.get_logger().bind(a=1)\nlog = make()\n",
    "loguru": "from loguru import logger as log\n",
    "loguru in logging": (
        "import logging\nfrom loguru import logger as log\nlogging.basicConfig()\nlog.remove()\n"
        "class Into(logging.Handler):\n    def emit(self, record):\n        logging.getLogger(record.name).handle(record)\n"
        "log.add(Into(), format='{message}')\n"
    ),
}


@pytest.mark.parametrize("logger", LOGGERS)
def test_loggers(run: Any, events: Any, logger: str) -> None:
    """`exception` of structlog and loguru is an event, whether they use logging or not; lower levels are none."""
    pytest.importorskip(logger.split()[0])
    exc_info = "log.opt(exception=True).warning('no')" if "loguru" in logger else "log.warning('no', exc_info=True)"
    done = run(
        f"""
{LOGGERS[logger]}
def crash(kind):
    try:
        raise kind("here")
    except LookupError:
        {exc_info}
    except ValueError:
        log.exception("it failed")
crash(LookupError)
log.error("no exception")
crash(ValueError)
"""
    )
    assert done.returncode == 0, done.stderr
    assert summary(events()) == [("ValueError", "here", True)], done.stderr
    assert "it failed" in done.stdout + done.stderr


def test_loguru_still_names_the_caller(run: Any) -> None:
    """The record's function and line are those of the app, also for its decorator."""
    pytest.importorskip("loguru")
    done = run(
        """
        import sys
        from loguru import logger
        logger.remove()
        logger.add(sys.stdout, format="{function}:{line} {message}", backtrace=False)

        def work():
            logger.info("plain")
            try:
                1 / 0
            except ZeroDivisionError:
                logger.opt(depth=0).exception("caught")

        @logger.catch(message="decorated")
        def other():
            1 / 0

        def main():
            other()

        work()
        main()
        """
    )
    lines = [line for line in done.stdout.splitlines() if line.endswith(("plain", "caught", "decorated"))]
    assert lines == ["work:8 plain", "work:12 caught", "main:19 decorated"], done.stderr


def test_loguru_by_options(run: Any, events: Any) -> None:
    """`opt(exception=...)` is an event with the exception itself, whichever one is current, and however it is given."""
    pytest.importorskip("loguru")
    done = run(
        """
        from loguru import logger

        def caught(kind):
            try:
                raise kind("here")
            except Exception as error:
                return error

        try:
            raise KeyError("here")
        except KeyError:
            logger.opt(exception=True).error("current")
            logger.bind(user=1).opt(exception=caught(ValueError)).error("given")
            logger.error("none")
        error = caught(IndexError)
        logger.opt(exception=(type(error), error, error.__traceback__)).critical("tuple")
        logger.opt(exception=True).error("nothing is current")
        with logger.catch():
            raise TypeError("here")
        """
    )
    assert done.returncode == 0, done.stderr
    assert [one[0] for one in summary(events())] == ["IndexError", "KeyError", "TypeError", "ValueError"]


@pytest.mark.parametrize("inside", ["class Logger:\n    def _log(self, record): pass\n", "class Core: pass\n"])
def test_loguru_of_unknown_inside(run: Any, project: Any, inside: str) -> None:
    """Another loguru than those we know is left alone, and one sentence says so."""
    (project / "loguru").mkdir()
    (project / "loguru" / "__init__.py").write_text("from loguru import _logger\n", encoding="utf-8")
    (project / "loguru" / "_logger.py").write_text(inside, encoding="utf-8")
    done = run(
        "import loguru\n" + ("loguru._logger.Logger()._log('x')\n" if "_log" in inside else "") + "print('fine')\n"
    )
    assert done.stdout == "fine\n", done.stderr
    assert done.stderr.count("\n") == 1
    assert "does not see the exceptions that loguru logs" in done.stderr


def test_level_of_the_environment(run: Any, events: Any) -> None:
    """A lower level captures records of that level."""
    code = "import logging\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.warning('w', exc_info=True)\n"
    run(code, HOMEOSTASIS_LEVEL="WARNING")
    assert [one[0] for one in summary(events())] == ["ZeroDivisionError"]
