"""The deployer `hotswap`, against real gunicorn workers: all of them or none, no failed request, everything back."""

from __future__ import annotations

import os
import re
import signal

import pytest

from homeostasis.errors import DeployError
from homeostasis.models import FileEdit, Step
from homeostasis.workers import live_workers
from homeostasis_deploy_hotswap import hotswap


def step_of(journal):
    return Step(deployer="hotswap", state="done", undo=journal.undo or {}, facts=journal.facts)


@pytest.fixture
def deploy(shop, kit):
    def _deploy(patch, **settings):
        journal = kit.recorder()
        journal.said = hotswap.deploy(patch, shop.project, kit.hotswap(**settings), journal)
        return journal

    return _deploy


@pytest.fixture
def undo(shop, kit):
    def _undo(journal, patch, **settings):
        hotswap.undo(step_of(journal), patch, shop.project, kit.hotswap(**settings))

    return _undo


def test_all_workers_answer_anew_and_the_old_answers_come_back(shop, deploy, undo):
    """The patch is in no file: only the processes change, and keep their numbers."""
    shop.gunicorn()
    pids, patch = shop.pids(), shop.patch()
    assert shop.price() == (500, None)
    journal = deploy(patch)
    assert journal.facts == {"method": "hotswap", "workers": pids}
    assert shop.price() == (200, 0)
    for _ in range(2):
        undo(journal, patch)
        assert shop.price() == (500, None)
    assert shop.pids() == pids
    assert shop.file.read_bytes() == patch.edits[0].before


def test_no_request_fails_while_bodies_are_swapped(shop, deploy, undo, kit):
    """Ten deployments and ten rollbacks, with an import that comes along, under constant requests."""
    shop.gunicorn()
    fixed = kit.app.replace(b"import registration", b"import decimal\nimport registration").replace(
        kit.line, b'return {"price": int(decimal.Decimal(prices.get(name, 0))), "pid": os.getpid()}'
    )
    patch = shop.patch(after=fixed)
    with kit.load(shop) as load:
        for _ in range(10):
            undo(deploy(patch), patch)
    assert load.bad == []
    assert load.good > 0


def test_a_worker_that_starts_later_is_undone_too(shop, deploy, undo, kit):
    """It loaded the patched file, and never heard of the release. Undo restores the file first."""
    shop.gunicorn()
    patch = shop.patch()
    patch.apply(shop.root)
    journal = deploy(patch)
    killed = shop.pids()[0]
    os.kill(killed, signal.SIGKILL)
    kit.wait(lambda: len(shop.pids()) == 2 and killed not in shop.pids(), "gunicorn starts another worker")
    assert shop.price() == (200, 0)
    undo(journal, patch)
    assert shop.price() == (500, None)
    assert shop.file.read_bytes() == patch.edits[0].before
    undo(journal, patch)


def test_a_worker_that_starts_later_gets_a_patch_that_no_file_holds(shop, deploy, undo, kit):
    """gunicorn recycles its workers; the new ones load the old text, and swap by themselves until the undo."""
    shop.gunicorn("--worker-class", "sync", "--threads", "1", "--max-requests", "10")
    patch, old = shop.patch(), shop.pids()
    journal = deploy(patch)

    def all_are_new_and_swapped():
        shop.get("/ping")
        workers = live_workers(shop.project)
        return (
            len(workers) == 2
            and not {worker.pid for worker in workers} & set(old)
            and all(kit.releases(worker, shop.project) == [journal.undo["release"]] for worker in workers)
        )

    # One that is recycled in between answers by the old code until it has caught up.
    kit.wait(lambda: all_are_new_and_swapped() and shop.get("/price/x17")[0] == 200, "the recycled workers caught up")
    assert shop.file.read_bytes() == patch.edits[0].before
    undo(journal, patch)
    assert list((shop.project.state / "hotswap").iterdir()) == []
    for _ in range(20):  # so that at least one worker is new
        assert shop.get("/price/x17")[0] == 500


def test_more_than_a_body_falls_back_to_a_reload(shop, deploy, undo):
    """The file holds the patch: gunicorn loads it gracefully; undo brings file and answers back."""
    shop.gunicorn()
    before = shop.file.read_bytes()
    patch = shop.patch(
        before.replace(b"def create_app", b"DEFAULT = 7\n\n\ndef create_app").replace(
            b"prices[name]", b"prices.get(name, DEFAULT)"
        )
    )
    patch.apply(shop.root)
    old = shop.pids()
    journal = deploy(patch)
    assert journal.facts["method"] == "reload"
    assert "Assign" in journal.said
    assert not set(old) & set(shop.pids())
    assert shop.price() == (200, 7)
    undo(journal, patch)
    assert shop.price() == (500, None)
    assert shop.file.read_bytes() == before


@pytest.mark.parametrize(
    ("body", "reason", "answer"),
    [
        (b'yield json.dumps({"price": 7, "pid": os.getpid()})', "kind changes from function to generator", 7),
        (b'return {"price": 8, "pid": os.getpid()}', r"other variables of the functions around it \(none\)", 8),
    ],
)
def test_a_closure_that_becomes_something_else_falls_back_to_a_reload(shop, deploy, kit, body, reason, answer):
    """A live closure can be given neither another kind nor other cells: the release says which."""
    shop.gunicorn(workers=1)
    patch = shop.patch(kit.app.replace(kit.line, body))
    patch.apply(shop.root)
    journal = deploy(patch)
    assert journal.facts["method"] == "reload"
    assert re.search(f"create_app.price: its (body uses )?{reason}", journal.said)
    assert shop.price() == (200, answer)


def test_a_new_file_must_be_on_the_disk(shop, deploy, kit):
    """Neither these workers nor those that start later could import it."""
    shop.gunicorn(workers=1)
    edits = (*shop.patch().edits, FileEdit(path="prices.py", before=None, after=b"DEFAULT = 0\n"))
    patch = shop.patch().model_copy(update={"edits": edits})
    with pytest.raises(DeployError, match=r"adds prices\.py, which no file holds: put working-tree before hotswap"):
        deploy(patch)
    assert not (shop.project.state / "hotswap").exists()
    assert shop.price() == (500, None)
    patch.apply(shop.root)
    assert deploy(patch).facts["method"] == "hotswap"
    assert shop.price() == (200, 0)


def test_a_failed_deployment_can_be_undone_where_nothing_can_reload(shop, deploy, undo, kit):
    """Only a module-level value changes and no reload is possible: the workers never ran it, so undo is calm."""
    registration = shop.root / "registration.py"
    registration.write_bytes(registration.read_bytes().replace(b'os.environ.get("SERVER_NAME_FOR_TEST")', b"None"))
    shop.gunicorn()
    patch = shop.patch(kit.app.replace(b"STARTED = time.time()", b"STARTED = 0"))
    patch.apply(shop.root)
    journal = kit.recorder()
    with pytest.raises(DeployError, match="nothing can make the app load its files anew"):
        hotswap.deploy(patch, shop.project, kit.hotswap(), journal)
    undo(journal, patch)
    assert shop.file.read_bytes() == kit.app


def test_without_the_patch_in_the_file_a_refusal_is_final(shop, deploy, kit):
    """The sentence says why and what to do, and no worker is changed."""
    shop.gunicorn()
    patch = shop.patch(kit.app.replace(b"def price(name):", b"def price(name='tea'):"))
    with pytest.raises(DeployError, match=r"signature changes.*working-tree before hotswap"):
        deploy(patch)
    patch.apply(shop.root)
    with pytest.raises(DeployError, match='fallback = "fail"'):
        deploy(patch, fallback="fail")
    assert shop.price() == (500, None)


def test_one_worker_that_refuses_keeps_the_others_as_they_were(shop, deploy, kit):
    """One of the two workers runs another text: whichever was asked first gets its old code back."""
    shop.gunicorn()
    other = shop.patch(shop.file.read_bytes().replace(b"prices[name]", b"prices[name] + 0"))
    other.apply(shop.root)
    killed = shop.pids()[-1]
    os.kill(killed, signal.SIGKILL)
    kit.wait(lambda: len(shop.pids()) == 2 and killed not in shop.pids(), "gunicorn starts another worker")
    other.undo(shop.root)
    with pytest.raises(DeployError, match="runs other code than the file shows"):
        deploy(shop.patch())
    assert shop.price() == (500, None)


def test_a_stopped_worker_does_not_count(shop, deploy, undo):
    """No worker: fine if the next start uses the patch, and told if it does not. Files of the dead are ignored."""
    patch = shop.patch()
    (shop.project.state / "workers").mkdir()
    (shop.project.state / "workers" / "999999999.json").write_text('{"pid": 999999999, "ppid": 1, "control": "/x"}')
    (shop.project.state / "workers" / "1.json").write_text("[" * 5000)
    (shop.project.state / "workers" / f"{os.getpid()}.json").symlink_to("/etc/passwd")
    with pytest.raises(DeployError, match="no worker runs"):
        deploy(patch)
    patch.apply(shop.root)
    journal = deploy(patch)
    assert journal.said == "no worker is running; the next start uses the patched files"
    assert journal.facts == {"method": "none", "workers": []}
    undo(journal, patch)
    assert shop.file.read_bytes() == patch.edits[0].before


def test_a_file_edited_since_stops_the_undo_before_a_worker_changes(shop, deploy, undo):
    """File and processes go on agreeing."""
    shop.gunicorn()
    patch = shop.patch()
    patch.apply(shop.root)
    journal = deploy(patch)
    shop.file.write_bytes(patch.edits[0].after + b"# by hand\n")
    with pytest.raises(DeployError, match=r"shop\.py was edited after the patch"):
        undo(journal, patch)
    assert shop.price() == (200, 0)


def test_an_app_under_the_real_monitoring(shop, deploy, undo):
    """Registration, socket and key as `setup_monitoring` makes them, with its wrappers around the views."""
    monitored(shop)
    shop.gunicorn()
    assert shop.price() == (500, None)
    patch = shop.patch(before=shop.file.read_bytes())
    journal = deploy(patch)
    assert journal.facts == {"method": "hotswap", "workers": shop.pids()}
    assert shop.price() == (200, 0)
    undo(journal, patch)
    assert shop.price() == (500, None)


def monitored(shop):
    source = shop.file.read_bytes().replace(
        b"import registration", b"from homeostasis.monitoring import setup_monitoring"
    )
    shop.file.write_bytes(source.replace(b"registration.register()", b"setup_monitoring(app)"))
    (shop.root / "pyproject.toml").write_text("[tool.homeostasis]\n")
    return shop.file.read_bytes()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'prices[{"tea": "milk"}[name]]', "the patched code crashed.*KeyError in price"),
        (b"(prices, os.kill(os.getpid(), 9))", "died"),
    ],
)
def test_harm_in_the_first_worker_is_taken_back(shop, deploy, kit, body, reason):
    """It crashes or dies on a request that went well before: the others never get the patch."""
    before = monitored(shop)
    shop.gunicorn(workers=1)
    patch = shop.patch(before.replace(b"prices[name]", body), before=before)
    with kit.load(shop, clients=1), pytest.raises(DeployError, match=f"{reason}.*no worker has the patch now"):
        deploy(patch, canary_seconds=60)
    kit.wait(lambda: len(shop.pids()) == 1 and shop.listens(), "gunicorn replaced a dead worker")
    assert shop.get("/price/tea")[0] == 200
    assert [kit.releases(worker, shop.project) for worker in live_workers(shop.project)] == [[]]


def test_a_bad_health_answer_in_the_first_worker_is_taken_back(shop, deploy, kit):
    """The address answers 500: no worker keeps the patch."""
    shop.gunicorn()
    url = f"http://127.0.0.1:{shop.port}/price/x17"
    with pytest.raises(DeployError, match=r"/price/x17 answers 500 while worker"):
        deploy(shop.patch(before=kit.app, after=kit.app.replace(b'"ok"', b'"OK"')), canary_seconds=0.1, health_url=url)
    assert [kit.releases(worker, shop.project) for worker in live_workers(shop.project)] == [[], []]


def test_a_first_worker_that_does_no_worse_is_followed_by_the_others(shop, deploy, kit):
    """It is compared with the other one over the same seconds, and the release tells over how many requests."""
    before = monitored(shop)
    shop.gunicorn()
    url = f"http://127.0.0.1:{shop.port}/ping"
    with kit.load(shop):
        journal = deploy(
            shop.patch(before=before), canary_seconds=0.5, canary_longest=60, canary_requests=20, health_url=url
        )
    assert (journal.facts["method"], journal.facts["workers"]) == ("hotswap", shop.pids())
    seen = journal.facts["canary"]
    assert seen["compared"]
    assert min(seen["requests"], seen["others"]) >= 20
    assert f"worker {seen['worker']}, the first, did no worse over {seen['requests']} requests than" in journal.said
    assert shop.price() == (200, 0)


def test_more_server_errors_than_in_the_other_workers_at_the_same_time_are_harm(shop, deploy, kit):
    """Nothing crashes, so only the comparison tells."""
    before = monitored(shop)
    shop.gunicorn()
    patch = shop.patch(before.replace(kit.line, b'return ("no", 500 if name in prices else 200)'), before=before)
    harm = r"/price/<name> does worse in worker \d+, the first with the patch: \d+ of \d+ requests failed, in the other.* 0 of"
    with kit.load(shop), pytest.raises(DeployError, match=f"{harm}.*no worker has the patch now"):
        deploy(patch, canary_seconds=60)
    assert [kit.releases(worker, shop.project) for worker in live_workers(shop.project)] == [[], []]
    assert shop.get("/price/tea")[0] == 200


@pytest.mark.parametrize(
    ("workers", "reason"),
    [(1, "has no others to be compared with"), (2, r"too little traffic to compare worker \d+, the first, .* of 50\)")],
)
def test_silence_is_no_success(shop, deploy, kit, workers, reason):
    """The release says so and goes on; or it is taken back, where that is wanted."""
    before = monitored(shop)
    shop.gunicorn(workers=workers)
    patch = shop.patch(before=before)
    with pytest.raises(DeployError, match=f"{reason}.*no worker has the patch now"):
        deploy(patch, canary_seconds=0.1, canary_undecided="take-back")
    assert shop.price() == (500, None)
    journal = deploy(patch, canary_seconds=0.1)
    assert re.search(f"{reason}: it was watched for crashes only", journal.said)
    assert not journal.facts["canary"]["compared"]
    assert shop.price() == (200, 0)


def test_workers_that_count_nothing_are_not_compared(shop, deploy):
    """An app whose monitoring is older, or that answers no requests."""
    shop.gunicorn()
    assert "too little traffic" in deploy(shop.patch(), canary_seconds=0.1).said


def test_a_worker_that_does_not_answer_gets_nothing_later(shop, deploy, kit):
    """It is stopped, as by a debugger: the others get their old code back, and it finds no request when it goes on."""
    shop.gunicorn()
    stopped = shop.pids()[-1]
    os.kill(stopped, signal.SIGSTOP)
    try:
        with pytest.raises(DeployError, match=r"did not answer within 0\.5 s"):
            deploy(shop.patch(), answer_timeout=0.5)
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert [kit.releases(worker, shop.project) for worker in live_workers(shop.project)] == [[], []]
    assert shop.price() == (500, None)


ASYNC_APP = b"""\
import os
import registration
from fastapi import Depends, FastAPI

app = FastAPI()
PRICES = {"tea": 3}


def found(name: str) -> int:
    return PRICES[name]


@app.get("/price/{name}")
async def price(price: int = Depends(found)):
    return {"price": price, "pid": os.getpid()}


registration.register()
"""


def test_a_dependency_of_an_async_app_under_uvicorn(shop, deploy, undo, kit):
    """FastAPI resolved the dependency's signature at start; the function it calls is the same one."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    shop.file.write_bytes(ASYNC_APP)
    shop.uvicorn()
    patch = shop.patch(ASYNC_APP.replace(b"PRICES[name]", b"PRICES.get(name, 0)"), before=ASYNC_APP)
    with kit.load(shop) as load:
        for _ in range(5):
            assert shop.price() == (500, None)
            journal = deploy(patch)
            assert shop.price() == (200, 0)
            undo(journal, patch)
    assert load.bad == []


def test_a_worker_without_a_control_socket_is_reloaded(shop, deploy, monkeypatch):
    """Such as on a system without unix sockets, or under an older monitoring."""
    registration = shop.root / "registration.py"
    registration.write_bytes(registration.read_bytes().replace(b"control.start(root, os.getpid())", b"None"))
    shop.gunicorn()
    patch = shop.patch()
    patch.apply(shop.root)
    journal = deploy(patch)
    assert journal.facts["method"] == "reload"
    assert "no control socket" in journal.said
    assert shop.price() == (200, 0)


def test_a_step_that_was_never_begun_is_undone_by_doing_nothing(shop, undo, kit):
    """No intent was recorded."""
    undo(kit.recorder(), shop.patch())


def test_the_generated_test_of_a_patch_is_no_obstacle(shop, deploy, undo):
    """Workers load no tests, so they are not told of it; the swap and its undo are as without it."""
    shop.gunicorn()
    test = FileEdit(path="tests/test_homeostasis_1.py", before=None, after=b"def test(): pass\n")
    patch = shop.patch().with_regression_test(test)
    journal = deploy(patch)
    assert (journal.facts["method"], shop.price()) == ("hotswap", (200, 0))
    undo(journal, patch)
    assert shop.price() == (500, None)
