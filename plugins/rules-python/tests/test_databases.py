"""Crashes of code that talks to databases, against the real servers: crash, heal, and run the same again."""

from __future__ import annotations

import gc
import os
import sys
import uuid
from typing import Any, Dict, Iterator

import pytest

from homeostasis.models import Effect

POSTGRES = os.environ.get("HOMEOSTASIS_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")
MARIADB = os.environ.get("HOMEOSTASIS_TEST_MARIADB", "root@127.0.0.1:3306/test")
REDIS = os.environ.get("HOMEOSTASIS_TEST_REDIS", "redis://127.0.0.1:6379/0")

# The code under test crashes with connections open, which is what it is there for.
pytestmark = pytest.mark.filterwarnings("ignore")

END_POSTGRES = f"""
import time, psycopg
def end(pid):
    with psycopg.connect({POSTGRES!r}, autocommit=True) as admin:
        admin.execute('SELECT pg_terminate_backend(%s)', (pid,))
        for _ in range(500):
            if admin.execute('SELECT 1 FROM pg_stat_activity WHERE pid = %s', (pid,)).fetchone() is None:
                return
            time.sleep(0.02)
    raise RuntimeError('the connection was not ended')
"""


def mariadb() -> Dict[str, Any]:
    """Arguments of `pymysql.connect`."""
    user, _at, rest = MARIADB.partition("@")
    host, _slash, database = rest.partition("/")
    name, _colon, port = host.partition(":")
    return {"host": name, "port": int(port or 3306), "user": user, "database": database}


END_MARIADB = f"""
import time, pymysql
def end(thread):
    admin = pymysql.connect(**{mariadb()!r})
    with admin.cursor() as cursor:
        cursor.execute(f'KILL {{thread}}')
        for _ in range(500):
            cursor.execute('SELECT 1 FROM information_schema.processlist WHERE id = %s', (thread,))
            if cursor.fetchone() is None:
                return
            time.sleep(0.02)
    raise RuntimeError('the connection was not ended')
"""

DEADLOCK = """
import threading, time, psycopg
from sqlalchemy import event
import shop
holds, asked = threading.Event(), threading.Event()
def other():
    # The app's session looks for the deadlock: this one would wait a minute before it did.
    with psycopg.connect({address!r}) as conn:
        conn.execute("SET deadlock_timeout = '60s'")
        conn.execute('UPDATE {table} SET n = n + 10 WHERE id = 2')
        holds.set()
        asked.wait(30)
        conn.execute('UPDATE {table} SET n = n WHERE id = 1')
def waiting(conn, cursor, statement, *rest):
    if 'n + 1' not in statement:
        return
    asked.set()
    for _ in range(500):
        found = admin.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s",
                              ('%{table} SET n = n WHERE%',)).fetchone()
        if found or not thread.is_alive():
            return
        time.sleep(0.02)
admin = psycopg.connect({address!r}, autocommit=True)
admin.execute('CREATE TABLE {table} (id int PRIMARY KEY, n int)')
admin.execute('INSERT INTO {table} VALUES (1, 10), (2, 10)')
event.listen(shop.engine, 'before_cursor_execute', waiting)
thread = threading.Thread(target=other)
thread.start()
try:
    with shop.engine.connect() as conn:
        conn.exec_driver_sql("SET deadlock_timeout = '50ms'")
        conn.commit()
    holds.wait(30)
    shop.move(1, 2)
    thread.join(30)
    print(admin.execute('SELECT id, n FROM {table} ORDER BY id').fetchall())
finally:
    thread.join(30)
    shop.engine.dispose()
    admin.execute('DROP TABLE {table}')
    admin.close()
"""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What the crashed code left open is collected within its own test, where the warnings are ignored."""
    yield
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.engine import Engine
        from sqlalchemy.orm import close_all_sessions

        close_all_sessions()
        for engine in [each for each in gc.get_objects() if issubclass(type(each), Engine)]:
            engine.dispose()
    gc.collect()


@pytest.fixture
def postgres() -> None:
    """A PostgreSQL that answers."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'psycopg[binary]'")
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install sqlalchemy")
    try:
        psycopg.connect(POSTGRES, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL at {POSTGRES} (HOMEOSTASIS_TEST_POSTGRES): {error}")


@pytest.fixture
def maria() -> None:
    """A MariaDB or MySQL that answers."""
    pymysql = pytest.importorskip("pymysql", reason="PyMySQL is not installed: pip install PyMySQL")
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install sqlalchemy")
    try:
        pymysql.connect(connect_timeout=5, **mariadb()).close()
    except pymysql.err.OperationalError as error:
        pytest.skip(f"no MariaDB at {MARIADB} (HOMEOSTASIS_TEST_MARIADB): {error}")


@pytest.fixture
def cache() -> None:
    """A redis that answers."""
    redis = pytest.importorskip("redis", reason="redis is not installed: pip install 'redis<6'")
    try:
        redis.from_url(REDIS, socket_connect_timeout=5).ping()
    except redis.RedisError as error:
        pytest.skip(f"no redis at {REDIS} (HOMEOSTASIS_TEST_REDIS): {error}")


def test_a_pooled_connection_that_postgres_ended_is_replaced(heal: Any, postgres: None) -> None:
    """pg_terminate_backend makes the next query fail; with the patch the same query answers."""
    address = POSTGRES.replace("postgresql://", "postgresql+psycopg://")
    source = (
        f"from sqlalchemy import create_engine, text\n\nengine = create_engine({address!r})\n\n\n"
        "def pid():\n    with engine.connect() as connection:\n"
        "        return connection.execute(text('SELECT pg_backend_pid()')).scalar()\n"
    )
    script = END_POSTGRES + "import shop\nfirst = shop.pid()\nend(first)\nprint(shop.pid() != first)\n"
    done = heal({"shop.py": source}, script)
    assert done.best.rule_id == "db-stale-engine"
    assert done.best.effect is Effect.RECONNECT
    assert done.after(script) == "True"


def test_a_pooled_connection_that_mariadb_killed_is_replaced(heal: Any, maria: None) -> None:
    """KILL makes the next query fail; with the patch the same query answers."""
    source = (
        f"from sqlalchemy import create_engine, text\n\nengine = create_engine('mysql+pymysql://{MARIADB}')\n\n\n"
        "def thread():\n    with engine.connect() as connection:\n"
        "        return connection.execute(text('SELECT CONNECTION_ID()')).scalar()\n"
    )
    script = END_MARIADB + "import shop\nfirst = shop.thread()\nend(first)\nprint(shop.thread() != first)\n"
    done = heal({"shop.py": source}, script)
    assert done.best.rule_id == "db-stale-engine"
    assert done.after(script) == "True"


def test_a_connection_kept_for_life_is_opened_for_each_call(heal: Any, postgres: None) -> None:
    """The module's connection was ended by the server; each call opens its own afterwards."""
    source = (
        f"import psycopg\n\nconn = psycopg.connect({POSTGRES!r}, autocommit=True)\n\n\n"
        "def pid():\n    return conn.execute('SELECT pg_backend_pid()').fetchone()[0]\n"
    )
    script = (
        END_POSTGRES
        + "import shop\nfirst = shop.pid()\ntry:\n    end(first)\nexcept RuntimeError:\n    pass\nprint(shop.pid() != first)\n"
    )
    done = heal({"shop.py": source}, script)
    assert done.best.rule_id == "db-stale-shared-connection"
    assert done.after("import shop; print(shop.pid() != shop.pid())") == "True"


def test_a_pymysql_connection_kept_for_life_is_opened_for_each_call(heal: Any, maria: None) -> None:
    """The same for PyMySQL, with a cursor of the module."""
    source = (
        f"import pymysql\n\nconn = pymysql.connect(**{mariadb()!r})\ncursor = conn.cursor()\n\n\n"
        "def thread():\n    cursor.execute('SELECT CONNECTION_ID()')\n    return cursor.fetchone()[0]\n"
    )
    done = heal({"shop.py": source}, END_MARIADB + "import shop\nend(shop.thread())\nshop.thread()\n")
    assert done.best.rule_id == "db-stale-shared-connection"
    assert done.after("import shop; print(shop.thread() != shop.thread())") == "True"


def test_a_failed_transaction_is_rolled_back(heal: Any, postgres: None) -> None:
    """A statement that failed leaves the connection unusable; with the patch the next one works."""
    source = (
        f"import psycopg\n\nconn = psycopg.connect({POSTGRES!r})\n\n\n"
        "def invert(n):\n    conn.execute('SELECT 1 / %s::int', (n,))\n    conn.commit()\n\n\n"
        "def seven():\n    return conn.execute('SELECT 7').fetchone()[0]\n"
    )
    script = "import shop\ntry:\n    shop.invert(0)\nexcept Exception:\n    pass\nprint(shop.seven())\n"
    done = heal({"shop.py": source}, script)
    assert done.best.rule_id == "db-missing-rollback"
    assert done.after(script) == "7"


def test_a_missing_table_is_diagnosed_and_not_guessed(heal: Any, postgres: None) -> None:
    """No patch is made for a schema that lags behind."""
    source = f"import psycopg\n\n\ndef count():\n    with psycopg.connect({POSTGRES!r}) as conn:\n        return conn.execute('SELECT * FROM no_such_orders')\n"
    done = heal({"shop.py": source}, "import shop; shop.count()")
    assert "db-missing-schema" in done.rules
    assert done.patches == []
    assert "no_such_orders" in done.diagnoses[0].summary


REDIS_SOURCE = (
    f"import redis\n\nclient = redis.from_url({REDIS!r}, client_name={{name!r}})\n\n\n"
    "def read(stream):\n    return client.xread({stream: '0'}, block=20000)\n"
)
REDIS_SCRIPT = f"""
import threading, time, redis, shop
admin = redis.from_url({REDIS!r})
admin.delete({{name!r}})
def kill():
    for _ in range(1000):
        waiting = [each for each in admin.client_list() if each['name'] == {{name!r}} and each['cmd'] == 'xread']
        if waiting:
            admin.client_kill_filter(_id=waiting[0]['id'])
            admin.xadd({{name!r}}, {{{{'n': 1}}}})
            return
        time.sleep(0.01)
thread = threading.Thread(target=kill)
thread.start()
try:
    print(len(shop.read({{name!r}})))
finally:
    thread.join()
    admin.delete({{name!r}})
"""


def test_a_redis_connection_that_was_killed_is_opened_again(heal: Any, cache: None) -> None:
    """CLIENT KILL makes a waiting read fail; with the patch the same read is sent again."""
    import redis

    if int(redis.__version__.split(".")[0]) >= 6:
        pytest.skip("redis-py 6 and newer connect again by themselves: pip install 'redis<6'")
    name = f"homeostasis-{uuid.uuid4()}"
    script = REDIS_SCRIPT.format(name=name)
    done = heal({"shop.py": REDIS_SOURCE.replace("{name!r}", repr(name))}, script)
    assert done.best.rule_id == "redis-dropped"
    assert done.after(script) == "1"


SQLITE = "import sqlite3\n\nconn = sqlite3.connect({path!r})\nconn.row_factory = sqlite3.Row\n\n\ndef one():\n    return conn.execute('SELECT 1 AS one').fetchone()['one']\n"
IN_THREAD = (
    "import threading, shop\nfailed = []\n"
    "def work():\n    try:\n        print(shop.one())\n    except Exception as error:\n        failed.append(error)\n"
    "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\nif failed:\n    raise failed[0]\n"
)


def test_a_sqlite_connection_is_not_shared_with_another_thread(heal: Any, tmp_path: Any) -> None:
    """Each call opens its own connection, with the row factory that the module had set."""
    done = heal({"shop.py": SQLITE.format(path=str(tmp_path / "shop.db"))}, IN_THREAD)
    assert done.best.rule_id == "sqlite-thread"
    assert "check_same_thread" not in done.best.diff
    assert done.after(IN_THREAD) == "1"


CASES = {
    "parameter": (
        "import sqlite3\n\n\ndef f():\n    conn = sqlite3.connect(':memory:')\n    return conn.execute('SELECT ?', ('apple')).fetchone()[0]\n",
        "apple",
    ),
    "row": (
        "import sqlite3\n\n\ndef f():\n    conn = sqlite3.connect(':memory:')\n    row = conn.execute('SELECT 3 AS n').fetchone()\n    return row['n']\n",
        "3",
    ),
    "text": (
        "from sqlalchemy import create_engine\n\nengine = create_engine('sqlite://')\n\n\ndef f():\n    with engine.connect() as connection:\n        return connection.execute('SELECT 4').scalar()\n",
        "4",
    ),
    "engine": (
        "from sqlalchemy import create_engine\n\nengine = create_engine('sqlite://')\n\n\ndef f():\n    row = engine.execute('SELECT 5').fetchone()\n    return row[0]\n",
        "5",
    ),
    "expired": (
        "from sqlalchemy import Column, Integer, create_engine\nfrom sqlalchemy.orm import declarative_base, sessionmaker\n\nBase = declarative_base()\n\n\nclass Order(Base):\n    __tablename__ = 'orders'\n    id = Column(Integer, primary_key=True)\n\n\nengine = create_engine('sqlite://')\nBase.metadata.create_all(engine)\nSession = sessionmaker(engine)\n\n\ndef f():\n    order = Order()\n    with Session() as session:\n        session.add(order)\n        session.commit()\n    return order.id\n",
        "1",
    ),
    "exhausted": (
        "from sqlalchemy import create_engine, text\nfrom sqlalchemy.orm import sessionmaker\nfrom sqlalchemy.pool import QueuePool\n\nengine = create_engine('sqlite://', poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.05)\nSession = sessionmaker(engine)\nkept = []\n\n\ndef g():\n    session = Session()\n    kept.append(session.execute(text('SELECT 6')))\n    kept.append(session)\n    return 6\n\n\ndef f():\n    g()\n    return g()\n",
        "6",
    ),
    "rollback": (
        "from sqlalchemy import Column, Integer, create_engine\nfrom sqlalchemy.orm import Session, declarative_base\n\nBase = declarative_base()\n\n\nclass Order(Base):\n    __tablename__ = 'orders'\n    id = Column(Integer, primary_key=True)\n\n\nengine = create_engine('sqlite://')\nBase.metadata.create_all(engine)\nsession = Session(engine)\n\n\ndef add(n):\n    session.add(Order(id=n))\n    session.commit()\n\n\ndef f():\n    add(1)\n    try:\n        add(1)\n    except Exception:\n        pass\n    return session.query(Order).count()\n",
        "1",
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_a_database_crash_is_healed(heal: Any, name: str) -> None:
    """The same call gives the answer that was meant."""
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install sqlalchemy")
    source, expected = CASES[name]
    done = heal({"shop.py": source}, "import shop; shop.f()")
    assert done.after("import shop; print(shop.f())") == expected
    assert done.best.effect in (Effect.CORRECT, Effect.RECONNECT)


def test_the_loser_of_a_deadlock_does_its_transaction_again(heal: Any, postgres: None) -> None:
    """Another transaction holds row 2 and waits for row 1; the app holds row 1 and asks for row 2."""
    address = POSTGRES.replace("postgresql://", "postgresql+psycopg://")
    table = f"deadlock_{uuid.uuid4().hex}"
    source = (
        f"from sqlalchemy import create_engine, text\n\nengine = create_engine({address!r})\n\n\n"
        "def move(first, second):\n    with engine.begin() as conn:\n"
        f"        conn.execute(text('UPDATE {table} SET n = n - 1 WHERE id = :id'), {{'id': first}})\n"
        f"        conn.execute(text('UPDATE {table} SET n = n + 1 WHERE id = :id'), {{'id': second}})\n"
    )
    done = heal({"shop.py": source}, DEADLOCK.format(address=POSTGRES, table=table))
    assert done.best.rule_id == "db-deadlock", done.event.raised.message
    assert done.after(DEADLOCK.format(address=POSTGRES, table=table)) == "[(1, 9), (2, 21)]"
