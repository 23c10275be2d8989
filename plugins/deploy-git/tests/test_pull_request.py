"""The deployer `pull-request`: real pushes, and the REST calls of two forges against a server that checks them."""

from __future__ import annotations

import subprocess

import pytest

from homeostasis.errors import DeployError
from homeostasis.models import Check, Outcome, Verdict
from homeostasis_deploy_git import pull_request
from homeostasis_deploy_git.forges import Target
from homeostasis_deploy_git.settings import PullRequestTable
from homeostasis_deploy_git.story import pull_request_text

from .forge_server import TOKEN, ForgeServer, Problem, contract_of

BRANCH = "homeostasis/" + "f" * 12


@pytest.fixture
def server(tmp_path, git, git_environment, monkeypatch):
    """A forge with a bare clone of the repository, which is its remote `origin`, over HTTP."""
    bare = tmp_path / "remote" / "shop.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(git.top), str(bare)], env=git_environment, check=True)
    subprocess.run(
        ["git", "--git-dir", str(bare), "config", "http.receivepack", "true"], env=git_environment, check=True
    )
    for name in ("GITHUB_TOKEN", "GITLAB_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ForgeServer(bare, git_environment) as running:
        git("remote", "add", "origin", f"{running.url}/git/shop.git")
        yield running


both = pytest.mark.parametrize("settings", ["github", "gitlab"], indirect=True)


@pytest.fixture
def settings(request, server):
    """Makes settings for GitHub, or for the forge that the test asks for."""
    forge = getattr(request, "param", "github")

    def make(**changes):
        return PullRequestTable(**{"forge": forge, "repository": "team/shop", "api": server.url, **changes})

    return make


@pytest.fixture
def deploy(git, make, settings):
    def _deploy(patch=None, incident=None, **changes):
        journal = make.journal()
        journal.said = pull_request.deploy(
            patch or make.patch(),
            make.verdict(),
            incident or make.incident(),
            make.project(git.top),
            settings(**changes),
            journal,
        )
        return journal

    return _deploy


def remote_commit(server, branch=BRANCH):
    done = subprocess.run(
        ["git", "--git-dir", str(server.bare), "rev-parse", "-q", "--verify", f"refs/heads/{branch}"],
        capture_output=True, text=True, check=False, env=server.git_env,
    )  # fmt: skip
    return done.stdout.strip() or None


@both
def test_patch_is_pushed_and_proposed(git, make, server, deploy):
    """Branch, title, story, labels, reviewer; and nothing of the user's repository has moved."""
    before = git.state()
    journal = deploy(labels=("bug", "healed"), reviewers=("ann",), draft=True)
    assert git.state() == before
    (pull,) = server.pulls
    assert remote_commit(server) == journal.facts["commit"]
    assert git.show(f"{journal.facts['commit']}:shop.py") == make.patch().edits[0].after
    assert (pull["head"], pull["base"], pull["draft"]) == (BRANCH, "main", True)
    assert pull["title"].endswith("Use 0 for a missing price")
    assert (pull["labels"], pull["reviewers"]) == (["bug", "healed"], ["ann"])
    for part in ("KeyError", "reproduction", "+    return cart.get('price', 0)", "homeostasis rollback inc1"):
        assert part in pull["body"]
    assert journal.facts["pull_request"].startswith("https://forge.test/team/shop/")
    assert journal.said.startswith("opened https://forge.test/")


@both
def test_recurrence_updates_what_is_open(git, make, server, deploy):
    """The same crash with another patch: one pull request, with the new text on the new commit."""
    deploy()
    other = make.patch(after=make.before.replace(b"cart['price']", b"cart.get('price', 1)"), summary="Use 1")
    again = deploy(other, make.incident("inc2"))
    (pull,) = server.pulls
    assert (pull["title"], again.said.split()[0]) == ("Use 1", "updated")
    assert "rollback inc2" in pull["body"]
    assert remote_commit(server) == again.facts["commit"]


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/repos/team/shop/pulls", {"title": "t", "head": "main"}),  # no base
        ("POST", "/repos/team/shop/pulls", {"title": "t", "head": "main", "base": "main", "labels": ["bug"]}),
        ("PATCH", "/repos/team/shop/pulls/1", {"state": "close"}),
        ("POST", "/repos/team/shop/issues/1/labels", {"labels": "bug"}),
        ("POST", "/projects/team%2Fshop/merge_requests", {"title": "t", "source_branch": "main"}),
        ("PUT", "/projects/team%2Fshop/merge_requests/1", {"state": "closed"}),
        ("PUT", "/projects/team%2Fshop/merge_requests/1", {"add_labels": "bug,healed"}),
        ("DELETE", "/projects/team%2Fshop/merge_requests/1", None),
    ],
)
def test_server_takes_nothing_that_the_forges_do_not_describe(method, path, sent):
    """So that a test here fails where the real forge would refuse, or ignore, what is sent."""
    contract = contract_of("github" if path.startswith("/repos") else "gitlab")
    with pytest.raises(Problem):
        contract.check_request(contract.operation(method, path), {}, sent)


def test_closed_one_is_not_revived(server, deploy, make):
    """A person closed it; what comes next is another proposal."""
    deploy()
    server.pulls[0]["state"] = "closed"
    deploy(make.patch(summary="Another"))
    assert [pull["state"] for pull in server.pulls] == ["closed", "open"]


@both
def test_undo_closes_it_and_takes_the_branch_back(git, make, server, deploy, settings):
    """Twice is as good as once."""
    journal = deploy()
    for _ in range(2):
        pull_request.undo(make.step(journal, "pull-request"), make.project(git.top), settings())
        assert (server.pulls[0]["state"], remote_commit(server)) == ("closed", None)


def test_undo_after_being_killed_between_push_and_proposal(git, make, server, settings):
    """The intent is enough; nothing was proposed yet."""
    server.failures = [(500, ())]
    journal = make.journal()
    with pytest.raises(DeployError):
        pull_request.deploy(
            make.patch(), make.verdict(), make.incident(), make.project(git.top), settings(base="main"), journal
        )
    assert remote_commit(server) == journal.undo["commit"]
    pull_request.undo(make.step(journal, "pull-request"), make.project(git.top), settings())
    assert (remote_commit(server), server.pulls) == (None, [])


def test_undo_of_an_update_goes_back_to_what_was_proposed_before(git, make, server, deploy, settings):
    """The earlier proposal is somebody's to decide about."""
    first = deploy()
    other = make.patch(after=make.before.replace(b"cart['price']", b"cart.get('price', 1)"))
    second = deploy(other, make.incident("inc2"))
    pull_request.undo(make.step(second, "pull-request"), make.project(git.top), settings())
    assert (server.pulls[0]["state"], remote_commit(server)) == ("open", first.facts["commit"])


def test_work_on_the_branch_is_not_lost(git, make, server, deploy, settings):
    """Somebody pushed to it: an undo leaves it, and says nothing is ours any more."""
    journal = deploy()
    git("fetch", "-q", str(server.bare), BRANCH)
    work = git("commit-tree", "FETCH_HEAD^{tree}", "-p", "FETCH_HEAD", "-m", "more")
    git("push", "-q", str(server.bare), f"{work}:refs/heads/{BRANCH}")
    pull_request.undo(make.step(journal, "pull-request"), make.project(git.top), settings())
    assert (server.pulls[0]["state"], remote_commit(server)) == ("open", work)


@both
def test_merged_one_is_not_undone_in_silence(git, make, server, deploy, settings):
    """What people merged, people revert."""
    journal = deploy()
    server.pulls[0]["state"] = "merged"
    with pytest.raises(DeployError, match="is merged: revert it there"):
        pull_request.undo(make.step(journal, "pull-request"), make.project(git.top), settings())


@both
def test_reviewer_who_is_refused_does_not_stop_it(server, deploy):
    """It is said beside the success."""
    journal = deploy(reviewers=("eve",))
    assert len(server.pulls) == 1
    assert "eve" in journal.said or "collaborators" in journal.said


@pytest.mark.parametrize(
    ("failures", "works"),
    [
        ([(429, (("Retry-After", "0"),))], True),
        ([(503, (("Retry-After", "0"),))] * 2, True),
        ([(403, (("Retry-After", "0"),))], True),
        ([(503, (("Retry-After", "0"),))] * 3, False),
        ([(403, ())], False),
        ([(302, (("Location", "http://127.0.0.1:1/"),))], False),
    ],
)
def test_limits_are_waited_for_and_failures_told(server, deploy, failures, works):
    """Without the token, wherever the forge repeats it; redirects are not followed."""
    server.failures = list(failures)
    if works:
        assert deploy().said.startswith("opened")
        return
    with pytest.raises(DeployError, match="was answered with") as raised:
        deploy()
    assert TOKEN not in str(raised.value)


def test_token_is_in_no_argument_and_no_file(git, server, deploy, monkeypatch):
    """Other users see the arguments of processes."""
    seen = []
    real = subprocess.run

    def run(argv, **options):
        seen.append(" ".join(map(str, argv)))
        return real(argv, **options)

    monkeypatch.setattr(subprocess, "run", run)
    journal = deploy()
    assert any("push" in line for line in seen)
    assert not any(TOKEN in line for line in seen)
    assert TOKEN not in str((journal.undo, journal.facts, journal.said))
    assert TOKEN not in (git.top / ".git/config").read_text()


def test_refused_push_is_told_without_the_token(git, server, deploy, monkeypatch):
    """A wrong token is what the remote refuses."""
    for name in ("GITHUB_TOKEN", "GITLAB_TOKEN"):
        monkeypatch.setenv(name, "wrong-token")
    with pytest.raises(DeployError, match="the remote origin did not take it") as raised:
        deploy()
    assert "wrong-token" not in str(raised.value)


def test_commits_that_the_base_lacks_are_mentioned(git, server, deploy):
    """The proposal would show them too."""
    git("fetch", "-q", str(server.bare), "main:refs/remotes/origin/main")
    git.commit(other=b"x = 2\n")
    git("checkout", "-q", "--", "other.py")
    assert "it also shows 1 commits that main does not have yet" in deploy().said


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/team/shop.git", ("github", "https://api.github.com", "team/shop", True)),
        ("git@github.com:team/shop.git", ("github", "https://api.github.com", "team/shop", False)),
        ("ssh://git@github.com:22/team/shop", ("github", "https://api.github.com", "team/shop", False)),
        ("https://github.example.org/team/shop", ("github", "https://github.example.org/api/v3", "team/shop", True)),
        ("https://gitlab.com/group/sub/shop.git", ("gitlab", "https://gitlab.com/api/v4", "group/sub/shop", True)),
        ("git@gitlab.example.org:team/shop.git", ("gitlab", "https://gitlab.example.org/api/v4", "team/shop", False)),
    ],
)
def test_forge_is_known_by_the_remote(monkeypatch, url, expected):
    """GitHub and GitLab, their own servers, all forms of URLs."""
    for name in ("GITHUB_TOKEN", "GITLAB_TOKEN"):
        monkeypatch.setenv(name, "t")
    found = Target.of(url, PullRequestTable())
    assert (found.kind, found.api, found.path, found.over_http) == expected


@pytest.mark.parametrize(
    ("url", "token", "complaint"),
    [
        ("https://code.example.org/team/shop", "t", "is no forge that is known"),
        ("https://evilgithub.com/team/shop", "t", "is no forge that is known"),
        ("/srv/git/shop.git", "t", "is no forge that is known"),
        ("https://github.com/shop", "t", "names no repository"),
        ("https://github.com/team/shop", "", "GITHUB_TOKEN is not set"),
    ],
)
def test_what_cannot_be_told_is_a_sentence(monkeypatch, url, token, complaint):
    """The token goes to no host that merely resembles a forge."""
    monkeypatch.setenv("GITHUB_TOKEN", token)
    with pytest.raises(DeployError, match=complaint):
        Target.of(url, PullRequestTable())


def test_missing_remote_is_a_sentence(git, make):
    """With the setting that names it."""
    with pytest.raises(DeployError, match="no remote 'upstream'"):
        pull_request.deploy(
            make.patch(),
            make.verdict(),
            make.incident(),
            make.project(git.top),
            PullRequestTable(remote="upstream"),
            make.journal(),
        )


def test_story_is_text_whatever_it_quotes(make):
    """No mention, no link, no HTML, no end of the block, no second table."""
    hostile = "```\n</details> @team <script>x</script> [a](http://b) | c #1 **d**\u202e"
    verdict = Verdict.of("p1", (Check(name="`x`|y", outcome=Outcome.ACCEPTED, required=True, detail=hostile),))
    story = pull_request_text(make.patch(summary=hostile, rationale=hostile), verdict, make.incident(message=hostile))
    outside, fence = [], None
    for line in story.split("\n"):
        stripped = line.strip("`")
        run = len(line) - len(line.lstrip("`"))
        if fence is None and run >= 3 and "`" not in line[run:]:
            fence = run
        elif fence is not None and run >= fence and not stripped:
            fence = None
        elif fence is None:
            outside.append(line)
    text = "\n".join(outside)
    assert fence is None
    for part in ("@team", "<script>", "](http", "**d**", "\u202e", "#1 "):
        assert part not in text
    assert text.count("</details>") == 1
