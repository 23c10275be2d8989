"""Databases of the live app are found and copied in one state."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from homeostasis_sandbox_venv import sqlite


def make_database(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(str(path))) as made:
        made.execute("create table tea (name)")
    return path


def test_databases_are_found_at_any_depth(tmp_path):
    """By name and first bytes; not in hidden directories, environments, or behind links."""
    wanted = [make_database(tmp_path / name) for name in ("a.db", "data/live/eu/shop.sqlite3", "var/b.sqlite")]
    for name in (".cache/c.db", "node_modules/d.db", "env/lib/e.db"):
        make_database(tmp_path / name)
    (tmp_path / "env/pyvenv.cfg").write_text("")
    (tmp_path / "text.db").write_text("no database")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    assert sqlite.near(tmp_path) == sorted(wanted)


def test_the_search_ends(tmp_path, monkeypatch):
    """What is near the root is found first."""
    monkeypatch.setattr(sqlite, "MAX_ENTRIES", 3)
    near = make_database(tmp_path / "a.db")
    for number in range(3):
        make_database(tmp_path / f"x/{number}.db")
    found = sqlite.near(tmp_path)
    assert near in found
    assert len(found) < 4


def test_a_deep_database_in_wal_mode_is_seen_whole_and_never_written(make_project, trial_of, level):
    """What is only in its log is seen too; the trial writes into its copy."""
    project = make_project({"shop.py": ""})
    path = make_database(project.root / "data/live/eu/shop.db")
    with closing(sqlite3.connect(str(path))) as live:
        live.execute("pragma journal_mode=wal")
        live.execute("insert into tea values ('green')")
        live.commit()
        code = (
            "import sqlite3; c = sqlite3.connect('data/live/eu/shop.db'); print(c.execute('select * from tea').fetchall());"
            "c.execute('delete from tea'); c.commit()"
        )
        done = trial_of(project).run(["{python}", "-c", code])
        assert done.stdout == "[('green',)]\n", done.stderr
        assert live.execute("select * from tea").fetchall() == [("green",)]
