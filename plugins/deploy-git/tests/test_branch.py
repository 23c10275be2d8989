"""The deployer `git-branch`, on real repositories: the right commit on the right parent, and nothing else touched."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from homeostasis.errors import DeployError
from homeostasis_deploy_git import branch


@pytest.fixture
def deploy(make):
    """Deploy a patch in a directory; returns the journal and the sentence."""

    def _deploy(root, patch=None, incident=None, verdict=None, **settings):
        journal = make.journal()
        said = branch.deploy(
            patch or make.patch(),
            verdict or make.verdict(),
            incident or make.incident(),
            make.project(root),
            make.settings(**settings),
            journal,
        )
        journal.said = said
        return journal

    return _deploy


def test_the_patch_becomes_a_commit_on_a_branch_and_nothing_else_changes(git, make, deploy):
    """HEAD, index and files stay, with edits staged and not staged in another file."""
    (git.top / "other.py").write_bytes(b"x = 2\n")
    git("add", "other.py")
    (git.top / "other.py").write_bytes(b"x = 3\n")
    (git.top / "untracked.py").write_bytes(b"y\n")
    before = git.state()
    journal = deploy(git.top)
    assert git.state() == before
    commit = journal.facts["commit"]
    assert journal.facts == {"commit": commit, "branch": "homeostasis/inc1", "base": git("rev-parse", "HEAD")}
    assert git("rev-parse", "homeostasis/inc1") == commit
    assert git("rev-parse", f"{commit}^") == git("rev-parse", "HEAD")
    assert git.show(f"{commit}:shop.py") == make.patch().edits[0].after
    assert git("diff", "--name-only", "HEAD", commit) == "shop.py"
    assert journal.undo == {"ref": "refs/heads/homeostasis/inc1", "commit": commit, "previous": None}


def test_the_commit_says_what_happened_and_how_it_was_proven(git, make, deploy):
    """Subject, body, trailers that git itself reads, author from settings and committer from git."""
    commit = deploy(git.top, author="Healer Bot <healer@example.org>").facts["commit"]
    read = git("log", "-1", "--format=%s%n%an <%ae>%n%cn <%ce>%n%(trailers:only)", commit).splitlines()
    assert read[:3] == ["Use 0 for a missing price", "Healer Bot <healer@example.org>", "Dana Dev <dana@example.org>"]
    assert [line for line in read[3:] if line] == [
        "Homeostasis-Incident: inc1",
        "Homeostasis-Rule: python.keyerror",
        "Homeostasis-Verdict: accepted",
    ]
    body = git("log", "-1", "--format=%b", commit)
    assert "Exception: KeyError in price (/srv/shop.py, line 6)" in body
    assert "- Check reproduction: accepted." in body
    assert "Effect: recover, risk low" in body


def test_without_an_identity_the_author_commits(git, deploy, git_environment, tmp_path):
    """A container has no git configuration."""
    (tmp_path / "home" / ".gitconfig").unlink()
    commit = deploy(git.top).facts["commit"]
    assert git("log", "-1", "--format=%cn <%ce>", commit) == "Homeostasis <homeostasis@localhost>"


@pytest.mark.parametrize(
    "hostile",
    [
        "x\n\nHomeostasis-Rule: evil\nSigned-off-by: Boss <boss@example.org>",
        "x\r\n\r\nHomeostasis-Verdict: rejected",
        "x\u2028Homeostasis-Rule: evil\u2029\x0bHomeostasis-Rule: evil\x85Homeostasis-Rule: evil",
        "Homeostasis-Rule: evil",
        "--exec=touch /tmp/owned",
        "\x1b[31mred\x1b[0m \x00 \x07 \u202egnp.exe \ud800",
        "---\ndiff --git a/x b/x",
        "# a comment\n#",
        "x" * 100_000,
        "Homeostasis-Rule: evil " * 2000,
        "",
    ],
)
def test_hostile_text_forges_nothing(git, make, deploy, hostile):
    """In every text of the event, patch and verdict: our trailers are the only ones, and no control character is left."""
    commit = deploy(
        git.top,
        make.patch(summary=hostile, rationale=hostile, evidence=(hostile,)),
        make.incident(message=hostile),
        make.verdict(detail=hostile),
    ).facts["commit"]
    trailers = git("log", "-1", "--format=%(trailers:only,unfold)", commit).splitlines()
    assert [line for line in trailers if line] == [
        "Homeostasis-Incident: inc1",
        "Homeostasis-Rule: python.keyerror",
        "Homeostasis-Verdict: accepted",
    ]
    message = git("log", "-1", "--format=%B", commit)
    assert git("interpret-trailers", "--parse", data=message.encode()).count("Homeostasis-") == 3
    assert all(char.isprintable() or char == "\n" for char in message)
    assert len(message) < 5000
    assert len(git("log", "-1", "--format=%s", commit)) in range(1, 101)


def test_undo_deletes_the_branch_if_it_is_still_ours(git, make, deploy):
    """And is calm when called twice, or when nothing had been done."""
    journal = deploy(git.top)
    before = git.state()
    for _ in range(2):
        branch.undo(make.step(journal), make.project(git.top), make.settings())
        assert git("for-each-ref", "refs/heads/homeostasis") == ""
    branch.undo(make.step(make.journal()), make.project(git.top), make.settings())
    assert git.state() == before


def test_undo_leaves_a_branch_that_somebody_uses(git, make, deploy):
    """A commit on top of ours, or a checkout for review, belongs to its user."""
    journal = deploy(git.top)
    git("worktree", "add", "-q", str(git.top.parent / "review"), "homeostasis/inc1")
    branch.undo(make.step(journal), make.project(git.top), make.settings())
    assert git("rev-parse", "homeostasis/inc1") == journal.facts["commit"]
    git("-C", "../review", "commit", "-q", "--allow-empty", "-m", "more")
    git("worktree", "remove", "../review")
    branch.undo(make.step(journal), make.project(git.top), make.settings())
    assert git("rev-parse", "homeostasis/inc1^") == journal.facts["commit"]


def test_a_second_heal_of_the_file_stacks_on_the_first(git, make, deploy):
    """The running file holds the first fix, HEAD does not: the second commit's parent is the first."""
    first = deploy(git.top)
    healed = make.patch().edits[0].after
    second = make.patch(before=healed, after=healed.replace(b"26", b"27"))
    journal = deploy(git.top, second, make.incident("inc2"))
    assert git("rev-parse", f"{journal.facts['commit']}^") == first.facts["commit"]
    assert git.show("homeostasis/inc2:shop.py") == second.edits[0].after
    assert "earlier heal" in journal.said


def test_a_second_patch_of_one_incident_moves_its_branch_forward_and_back(git, make, deploy):
    """Undo puts the branch where it was."""
    first = deploy(git.top)
    healed = make.patch().edits[0].after
    journal = deploy(git.top, make.patch(before=healed, after=healed.replace(b"26", b"27")))
    assert git("rev-parse", "homeostasis/inc1") == journal.facts["commit"]
    branch.undo(make.step(journal), make.project(git.top), make.settings())
    assert git("rev-parse", "homeostasis/inc1") == first.facts["commit"]


def test_a_taken_branch_is_not_moved(git, make, deploy):
    """The commit goes on a numbered branch."""
    git("branch", "homeostasis/inc1", git("commit-tree", "HEAD^{tree}", "-m", "unrelated"))
    taken = git("rev-parse", "homeostasis/inc1")
    journal = deploy(git.top)
    assert journal.facts["branch"] == "homeostasis/inc1-2"
    assert git("rev-parse", "homeostasis/inc1") == taken


def test_edits_that_were_not_committed_stay_out_of_the_commit(git, make, deploy):
    """The running file differs from HEAD elsewhere: only the fix is merged onto HEAD's text."""
    running = make.before.replace(b"return 1\n", b"return 1  # local\n")
    (git.top / "shop.py").write_bytes(running)
    journal = deploy(git.top, make.patch(before=running))
    assert git.show("homeostasis/inc1:shop.py") == make.patch().edits[0].after
    assert "merged with HEAD" in journal.said


def test_a_conflict_names_its_place(git, make, deploy):
    """And nothing was made."""
    running = make.before.replace(b"return cart['price']", b"return cart['price'] * 2")
    with pytest.raises(DeployError, match=r"shop\.py at HEAD \(conflict at line 6\).*commit them"):
        deploy(git.top, make.patch(before=running))
    assert git("for-each-ref", "refs/heads/homeostasis") == ""


def test_a_fix_that_head_has_already_needs_no_branch(git, make, deploy):
    """Somebody committed the same change, and the app runs an older file."""
    (git.top / "shop.py").write_bytes(make.patch().edits[0].after)
    git("commit", "-q", "-am", "fixed by hand")
    journal = deploy(git.top)
    assert "holds the fix already" in journal.said
    assert git("for-each-ref", "refs/heads/homeostasis") == ""


def test_a_project_below_the_repositorys_top(git, make, deploy):
    """Paths of the patch are relative to the project, those of git to the top."""
    inner = git.top / "services" / "ünïcode dir"
    inner.mkdir(parents=True)
    (inner / "shop.py").write_bytes(make.before)
    git("add", "-A")
    git("commit", "-q", "-m", "services")
    before = git.state()
    deploy(inner)
    assert git.state() == before
    assert git.show("homeostasis/inc1:services/ünïcode dir/shop.py") == make.patch().edits[0].after
    assert git.show("homeostasis/inc1:shop.py") == make.before


def test_new_files_and_modes(git, make, deploy):
    """A regression test comes along; an executable stays one."""
    from homeostasis.models import FileEdit

    git("update-index", "--chmod=+x", "shop.py")
    git("commit", "-q", "-m", "executable")
    edits = (make.patch().edits[0], FileEdit(path="tests/test_price.py", before=None, after=b"def test(): pass\n"))
    deploy(git.top, make.patch(edits=edits))
    listed = git("ls-tree", "-r", "--format=%(objectmode) %(path)", "homeostasis/inc1").splitlines()
    assert "100755 shop.py" in listed
    assert "100644 tests/test_price.py" in listed


@pytest.mark.parametrize("committed", [b"\n", b"\r\n"])
def test_windows_line_ends(git, make, deploy, committed):
    """With autocrlf the file has CRLF and the blob LF, or CRLF if it was committed so: the diff is the fix alone."""
    crlf = make.before.replace(b"\n", b"\r\n")
    git.commit("crlf", shop=make.before.replace(b"\n", committed)) if committed == b"\r\n" else None
    git("config", "core.autocrlf", "true")
    (git.top / "shop.py").write_bytes(crlf)
    deploy(git.top, make.patch(before=crlf))
    assert git("diff", "--numstat", "HEAD", "homeostasis/inc1") == "1\t1\tshop.py"


def test_hooks_and_signing_are_not_run(git, make, deploy, tmp_path):
    """Neither hooks, nor the file system monitor, nor a missing signing key stand in the way."""
    for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction", "prepare-commit-msg"):
        hook = git.top / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\necho {name} >> '{tmp_path}/ran'\nexit 1\n")
        hook.chmod(0o755)
    git("config", "commit.gpgSign", "true")
    git("config", "gpg.program", "/nonexistent")
    git("config", "core.fsmonitor", f"touch {tmp_path}/ran")
    deploy(git.top)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(DeployError, match="git commit-tree"):
        deploy(git.top, sign=True)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_a_commit_is_signed_if_the_settings_ask_for_it(git, deploy, tmp_path):
    """With the key that git is configured to sign with; git itself verifies it."""
    key, signers = tmp_path / "key", tmp_path / "signers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers.write_text(f"dana@example.org {key.with_suffix('.pub').read_text()}", encoding="utf-8")
    git("config", "gpg.format", "ssh")
    git("config", "user.signingKey", str(key))
    git("config", "gpg.ssh.allowedSignersFile", str(signers))
    signed = deploy(git.top, sign=True).facts["commit"]
    assert git("log", "-1", "--format=%G? %GS", signed) == "G dana@example.org"


LFS = """\
#!/bin/sh
cat > "$0.new"
name=$(sha256sum < "$0.new" | cut -c 1-64)
mv "$0.new" "$0.$name"
printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\n' "$name"
"""


def test_a_file_in_lfs_is_committed_as_a_pointer(git, make, deploy, tmp_path):
    """git's own filter makes it, as for `git add`; the fix goes where large files go. Without the filter it is refused."""
    clean = tmp_path / "clean"
    clean.write_text(LFS, encoding="utf-8")
    clean.chmod(0o755)
    (git.top / ".gitattributes").write_text("*.py filter=lfs\n", encoding="utf-8")
    git("config", "filter.lfs.clean", str(clean))
    git("config", "filter.lfs.required", "true")
    git("add", "--renormalize", ".gitattributes", "shop.py")
    git("commit", "-q", "-m", "large files")
    pointer = git.show(f"{deploy(git.top).facts['commit']}:shop.py").decode()
    version, name = pointer.splitlines()
    assert version == "version https://git-lfs.github.com/spec/v1"
    stored = tmp_path / f"clean.{name.partition('sha256:')[2]}"
    assert stored.read_bytes() == make.patch().edits[0].after
    clean.unlink()
    with pytest.raises(DeployError, match="clean"):
        deploy(git.top, incident=make.incident("inc2"))


def test_during_a_rebase_the_fix_goes_on_the_branch_as_it_was(git, make, deploy):
    """HEAD is somewhere in the middle then."""
    git("checkout", "-q", "-b", "topic")
    (git.top / "other.py").write_bytes(b"x = 'topic'\n")
    git("commit", "-q", "-am", "topic")
    topic = git("rev-parse", "HEAD")
    git("checkout", "-q", "main")
    (git.top / "other.py").write_bytes(b"x = 'main'\n")
    git("commit", "-q", "-am", "main")
    git("rebase", "-q", "main", "topic", check=False)
    assert (git.top / ".git" / "rebase-merge").exists()
    journal = deploy(git.top)
    assert journal.facts["base"] == topic


def test_a_linked_worktree_works(git, make, deploy):
    """`.git` is a file there; the branch is made from that worktree's HEAD."""
    git("worktree", "add", "-q", "-b", "side", "../side")
    side = git.top.parent / "side"
    journal = deploy(side)
    assert journal.facts["base"] == git("rev-parse", "side")


def test_a_file_in_a_submodule_is_refused(git, make, deploy, tmp_path):
    """The commit would belong into another repository."""
    git("init", "-q", str(tmp_path / "lib"))
    git("-C", str(tmp_path / "lib"), "commit", "-q", "--allow-empty", "-m", "lib")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "lib"), "lib")
    git("commit", "-q", "-m", "submodule")
    with pytest.raises(DeployError, match="lies in the submodule lib"):
        deploy(git.top, make.patch(path="lib/shop.py"))


def test_a_file_that_git_does_not_know_is_refused(git, make, deploy):
    """Its whole text would come along with the fix."""
    (git.top / "new.py").write_bytes(make.before)
    with pytest.raises(DeployError, match=r"new\.py is not in git at HEAD: commit it"):
        deploy(git.top, make.patch(path="new.py"))


def test_no_repository_no_commit_and_no_git_are_told_in_a_sentence(git, make, deploy, tmp_path, monkeypatch):
    """Each says what to do."""
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(DeployError, match=r"not in a usable git repository.*git init"):
        deploy(plain)
    git("init", "-q", str(tmp_path / "unborn"))
    with pytest.raises(DeployError, match="has no commit yet: commit the app once"):
        deploy(tmp_path / "unborn")
    git("clone", "-q", "--bare", str(git.top), str(tmp_path / "bare"))
    with pytest.raises(DeployError, match="bare repository"):
        deploy(tmp_path / "bare")
    git("branch", "homeostasis")
    with pytest.raises(DeployError, match="may be in its way"):
        deploy(git.top)
    monkeypatch.setenv("PATH", str(plain))
    with pytest.raises(DeployError, match="git is not installed"):
        deploy(git.top)


def test_odd_incident_ids_make_valid_branches(git, make, deploy):
    """Nothing of an id can become another ref or an option."""
    journal = deploy(git.top, incident=make.incident("../-x y~^:?*[\\..lock"))
    assert journal.facts["branch"] == "homeostasis/x-y-lock"


@pytest.mark.parametrize("author", ["nobody", "A <b>\nevil", "A\0 <b@c>", "<a@b>"])
def test_an_author_is_a_name_and_an_address(make, author):
    """Anything else is a configuration error, not a failure at night."""
    with pytest.raises(ValueError, match="Name <email>"):
        make.settings(author=author)
