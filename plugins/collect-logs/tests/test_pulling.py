"""The cursor: whatever pages, late entries, failures and restarts do, each crash comes out once."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostasis.collecting.events import EventMaker
from homeostasis.config import validate_table
from homeostasis.errors import ConfigError
from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_logs.pulling import collector
from homeostasis_collect_logs.pulling.collector import NANO, AskFailed, Entry, Page, Pull, PullCollector, TooLarge
from homeostasis_collect_logs.pulling.settings import PullTable

BASE = 1_767_323_045
CRASH = 'Traceback (most recent call last):\n  File "shop/cart.py", line 10, in price\n    return row["price"]\nKeyError: \'{}\''


class MemoryStore:
    """A store that keeps to what `Store` says, in memory."""

    name, identity, most = "memory", "memory", 20

    def __init__(self, grain):
        self.grain = grain
        self.entries = []
        self.asked = []
        self.fails = None

    def add(self, at, text, stream="a"):
        self.entries.append(Entry(at, (stream,), text, (at, text, len(self.entries))))
        self.entries.sort(key=lambda entry: entry.at)

    def page(self, start, end, limit):
        if self.fails:
            raise self.fails
        assert start < end
        assert start % self.grain == end % self.grain == 0
        assert 2 <= limit <= self.most
        self.asked.append((start, end))
        found = [entry for entry in self.entries if start <= entry.at < end]
        return Page(found[:limit], len(found) >= limit)

    def close(self):
        pass


class Pulled:
    """A pull without its pauses, over a clock of its own."""

    def __init__(self, place, grain=1, **values):
        values = {"since": 100, "delay": 0, "settle": 0, **values}
        self.table = PullTable(url="http://127.0.0.1", recapture=0, interval=1e-9, **values)
        self.place, self.store, self.sink, self.now = place, MemoryStore(grain), MemorySink(), float(BASE)
        self.restart()

    def restart(self):
        self.pull = Pull(self.store, self.table, EventMaker(self.place, self.table), self.sink, lambda: self.now)

    def look(self):
        self.pull.look(lambda: False)

    @property
    def messages(self):
        return [event.raised.message.strip("'") for event in self.sink.events]


@pytest.mark.parametrize("grain", [1, 1_000_000])
@given(
    moments=st.lists(st.integers(0, 40), min_size=1, max_size=60),
    page=st.integers(2, 20),
    looks=st.lists(st.sampled_from(["look", "restart"]), min_size=1, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_each_crash_once(grain, moments, page, looks, project_of_shop):
    """Entries may share an instant, as long as the store can give them at once."""
    pulled = Pulled(project_of_shop, grain, page=page)
    moments = sorted(moments)
    moments = [at for number, at in enumerate(moments) if moments[:number].count(at) < MemoryStore.most - 1]
    for number, at in enumerate(moments):
        pulled.store.add((BASE * 1000 - 50_000 + at) * 1_000_000, CRASH.format(f"k{number}"))
    for step, what in enumerate(looks):
        pulled.now = BASE - 50 + 0.041 * (step + 1) / len(looks)
        getattr(pulled, what)()
    pulled.now = float(BASE)
    pulled.look()
    pulled.restart()
    pulled.look()
    assert sorted(pulled.messages) == sorted(f"k{number}" for number in range(len(moments)))
    assert pulled.sink.losses == []
    assert sum(count for _, count, _ in pulled.sink.heard_of) >= len(moments)


@pytest.fixture(scope="module")
def project_of_shop(tmp_path_factory):
    """The project of `place`, once for all examples: nothing changes it."""
    from homeostasis.project import Project

    root = tmp_path_factory.mktemp("project")
    (root / "shop").mkdir()
    (root / "shop/cart.py").write_text("\n" * 8 + 'def price(row):\n    return row["price"]\n')
    return Project.load(root)


def test_a_traceback_in_entries_of_its_own(project_of_shop):
    """Split over two looks and a restart between them; the crash of another stream that came meanwhile is not repeated."""
    pulled = Pulled(project_of_shop, overlap=0, settle=3600)
    lines = [*CRASH.format("split").split("\n"), "INFO next"]
    start = (BASE - 50) * NANO
    for number, line in enumerate(lines):
        pulled.store.add(start + number * 1_000_000, line, "a")
        pulled.store.add(start + number * 1_000_000, CRASH.format(f"other{number}"), "b")
    pulled.now = BASE - 50 + 0.0025
    for _ in range(2):
        pulled.look()
        pulled.restart()
    assert pulled.messages == []
    pulled.now = float(BASE)
    pulled.look()
    pulled.restart()
    pulled.look()
    assert sorted(pulled.messages) == [*(f"other{number}" for number in range(len(lines))), "split"]


def test_what_comes_late_is_read(project_of_shop):
    """Within `overlap`, entries that were not there when their time was read are found, and the others not repeated."""
    pulled = Pulled(project_of_shop, overlap=10)
    pulled.store.add((BASE - 5) * NANO, CRASH.format("first"))
    pulled.look()
    pulled.store.add((BASE - 6) * NANO, CRASH.format("late"))
    pulled.store.add((BASE - 20) * NANO, CRASH.format("too late"))
    pulled.look()
    assert pulled.messages == ["first", "late"]


def test_what_comes_late_makes_nothing_be_read_again(project_of_shop):
    """A restart while a traceback that came late is not complete goes on where it was."""
    pulled = Pulled(project_of_shop, overlap=10, settle=3600)
    pulled.store.add((BASE - 5) * NANO, CRASH.format("first"))
    pulled.look()
    (before,) = pulled.sink.positions.values()
    for number, line in enumerate(CRASH.format("late").split("\n")):
        pulled.store.add((BASE - 6) * NANO + number, line, "b")
    pulled.look()
    assert list(pulled.sink.positions.values()) == [before]
    pulled.restart()
    pulled.look()
    assert pulled.messages == ["first"]


def test_more_entries_than_are_remembered(project_of_shop, monkeypatch):
    """Those that are forgotten are not read again."""
    monkeypatch.setattr(collector, "MAX_SEEN", 10)
    pulled = Pulled(project_of_shop, overlap=60, page=5)
    for number in range(50):
        pulled.store.add((BASE - 50 + number) * NANO, CRASH.format(f"k{number}"))
    for _ in range(3):
        pulled.look()
        assert len(pulled.pull._seen) <= 10
    assert len(pulled.messages) == 50


def test_more_of_one_instant_than_the_store_gives(project_of_shop):
    """That is counted, and reading goes on."""
    pulled = Pulled(project_of_shop, page=2)
    for number in range(50):
        pulled.store.add((BASE - 5) * NANO, CRASH.format(f"k{number:02}"))
    pulled.store.add((BASE - 4) * NANO, CRASH.format("next"))
    pulled.look()
    assert pulled.messages[-1] == "next"
    assert len(pulled.messages) == MemoryStore.most + 1
    assert pulled.sink.losses == [("log entries of one instant beyond what the store gives at once", 1)]


def test_answers_that_are_too_large(project_of_shop):
    """Pages get smaller until they are not; what cannot get smaller is an error."""
    pulled = Pulled(project_of_shop, page=20)
    whole = pulled.store.page

    def page(start, end, limit):
        if limit > 5:
            raise TooLarge("too large")
        return whole(start, end, limit)

    pulled.store.page = page
    for number in range(30):
        pulled.store.add((BASE - 50 + number) * NANO, CRASH.format(f"k{number}"))
    pulled.look()
    assert len(pulled.messages) == 30
    pulled.store.page = whole
    for _ in range(10):
        pulled.now += 1
        pulled.look()
    assert pulled.pull._page == 20
    pulled.store.fails = TooLarge("too large")
    with pytest.raises(TooLarge):
        pulled.pull._asked(0, 1, 20)


def test_long_stretches_are_asked_for_in_parts(project_of_shop):
    """Stores refuse to search weeks at once."""
    pulled = Pulled(project_of_shop, since=36_000)
    pulled.look()
    assert len(pulled.store.asked) == 10
    assert all(end - start <= 3600 * NANO for start, end in pulled.store.asked)


def test_a_store_that_cannot_be_asked(project_of_shop):
    """Nothing is lost: it is asked again, later each time, or when it says."""
    store, waits, sink = MemoryStore(1), [], MemorySink()
    store.add(BASE * NANO - 1, CRASH.format("one"))
    stop = threading.Event()

    class Stop:
        is_set = staticmethod(stop.is_set)

        def wait(self, timeout=None):
            waits.append(timeout)
            store.fails = {1: AskFailed("down"), 2: AskFailed("busy", 7.0)}.get(len(waits))
            if len(waits) == 4:
                stop.set()

    store.fails = AskFailed("down")
    table = PullTable(url="http://127.0.0.1", interval=2)
    PullCollector(project_of_shop, table, lambda: store, "memory", lambda: BASE + 10.0).run(sink, Stop())
    assert waits == [4, 8, 7, 2]
    assert [event.source for event in sink.events] == ["memory:text"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"url": "ftp://x"}, "must be an http or https address"),
        ({"url": "https://me:secret@x"}, "must not hold a password"),
        ({"url": "https://x", "user": "me"}, "belong together"),
        ({"url": "https://x", "user": "me", "password_env": "P", "token_env": "T"}, "set either token_env"),
    ],
)
def test_settings_that_cannot_be(table, says):
    """Each says what to do."""
    with pytest.raises(ConfigError, match=says):
        validate_table(PullTable, table, "tool.homeostasis.x", None)


def test_a_variable_that_is_not_set(monkeypatch):
    """The message names it, and the key that does."""
    monkeypatch.delenv("STORE_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="STORE_TOKEN, which token_env names"):
        PullTable(url="http://x", token_env="STORE_TOKEN").token()


@pytest.mark.parametrize("token", ["two\nlines", "secr\u00e9t"])
def test_a_token_that_no_header_can_hold(token, monkeypatch):
    """The message does not show it."""
    monkeypatch.setenv("STORE_TOKEN", token)
    with pytest.raises(ConfigError, match="STORE_TOKEN holds characters") as caught:
        PullTable(url="http://x", token_env="STORE_TOKEN").token()
    assert token not in str(caught.value)
