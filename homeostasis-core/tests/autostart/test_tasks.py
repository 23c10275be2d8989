"""Tasks that the garbage collector takes while they wait."""

from __future__ import annotations

import sys
from typing import Any

import pytest

BOX = """
import asyncio, contextvars, gc

class Box:
    async def take(self):
        self.arrived = asyncio.get_running_loop().create_future()
        return await self.arrived

async def deliver(name):
    return await Box().take()

"""


def lost(run: Any, events: Any, body: str) -> list[dict[str, Any]]:
    done = run(BOX + body)
    assert done.returncode == 0, done.stderr
    return [event["exceptions"][0] for event in events()]


def test_a_lost_task_is_an_event(run: Any, events: Any) -> None:
    """It has the coroutine's place, where all that is left of its frame; asyncio logs its sentence as before."""
    (raised,) = lost(
        run,
        events,
        "async def main():\n    asyncio.ensure_future(deliver('ada'))\n    await asyncio.sleep(0.01)\n    gc.collect()\n"
        "asyncio.run(main())\n",
    )
    frame = raised["frames"][-1]
    assert (raised["type"], raised["message"]) == (
        "LostTask",
        "the task of deliver was garbage collected while it was pending",
    )
    assert (frame["function"], frame["in_app"], frame["source_line"]) == ("deliver", True, "async def deliver(name):")
    assert (frame["span"]["line"], frame["span"]["column"]) == (frame["first_line"], None)
    assert frame["locals"] == {}


def test_tasks_that_are_lost_again_and_again_are_one_crash(run: Any, events: Any) -> None:
    """What stands for the closed frame is the same each time."""
    body = "async def main():\n    for _ in range(3):\n        asyncio.ensure_future(deliver('ada'))\n"
    body += "        await asyncio.sleep(0.01)\n        gc.collect()\nasyncio.run(main())\n"
    assert len(lost(run, events, body)) == 1


def test_a_coroutine_that_is_still_there(run: Any, events: Any) -> None:
    """It depends on chance whether the collector closes it before or after its task: the event is the same."""
    (raised,) = lost(
        run,
        events,
        "async def main():\n    task = asyncio.ensure_future(deliver('ada'))\n    await asyncio.sleep(0.01)\n"
        "    asyncio.get_running_loop().call_exception_handler(\n"
        "        {'message': 'Task was destroyed but it is pending!', 'task': task})\n    task.cancel()\n"
        "asyncio.run(main())\n",
    )
    (frame,) = raised["frames"]
    assert (frame["function"], frame["source_line"], frame["locals"]) == ("deliver", "async def deliver(name):", {})


@pytest.mark.parametrize(
    "body",
    [
        "async def main():\n    asyncio.ensure_future(deliver('ada'))\n    await asyncio.sleep(0.01)\nasyncio.run(main())\n",
        "loop = asyncio.new_event_loop()\nloop.create_task(deliver('ada'))\nloop.run_until_complete(asyncio.sleep(0))\n"
        "loop.close()\ngc.collect()\n",
        "async def main():\n    asyncio.get_running_loop().call_exception_handler({'message': 'x', 'task': None})\n"
        "asyncio.run(main())\n",
    ],
    ids=["cancelled at the end", "left over", "something else"],
)
def test_what_is_left_at_the_end_is_not_lost(run: Any, events: Any, body: str) -> None:
    """A program may end with tasks that are pending, and a loop has other things to tell."""
    assert lost(run, events, body) == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the context of a task is told from Python 3.12 on")
def test_it_is_told_in_its_own_context(run: Any, events: Any) -> None:
    """What runs when garbage is collected has nothing to do with it."""
    done = run(
        BOX
        + "from homeostasis.autostart import escapes\nwho = contextvars.ContextVar('who')\n"
        + "escapes.watch('test', escapes.Listener(lambda error: print(who.get())))\n"
        + "async def start():\n    who.set('mine')\n    asyncio.ensure_future(deliver('ada'))\n"
        + "async def main():\n    await asyncio.ensure_future(start())\n    who.set('another')\n"
        + "    await asyncio.sleep(0.01)\n    gc.collect()\nasyncio.run(main())\n"
    )
    assert done.stdout == "mine\n", done.stderr
