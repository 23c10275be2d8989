"""`exact = true` with the real uv, offline: packages come from a folder of wheels that the test fills."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import zipfile

import pytest

from homeostasis.errors import SandboxError

uv = shutil.which("uv")
pytestmark = pytest.mark.skipif(uv is None, reason="uv is not installed")


def make_wheel(directory, version):
    """A wheel of `homeostasis-tiny`, whose module tells the version; returns its SHA-256 in hex."""
    directory.mkdir(exist_ok=True)
    wheel = directory / f"homeostasis_tiny-{version}-py3-none-any.whl"
    info = f"homeostasis_tiny-{version}.dist-info"
    files = {
        "homeostasis_tiny.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: homeostasis-tiny\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(text)}\n")
        archive.writestr(f"{info}/RECORD", "".join(lines) + f"{info}/RECORD,,\n")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """The folder in which uv looks for packages; it has no network and a cache of its own."""
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    for name in [name for name in os.environ if name.startswith("UV_") and "INDEX" in name]:
        monkeypatch.delenv(name)
    return tmp_path / "wheels"


CODE = "import homeostasis_tiny; print(homeostasis_tiny.VERSION)"


def test_requirements_with_hashes_are_installed(make_project, trial_of, wheels):
    """The pinned version, not the newest; a package whose hash differs is refused."""
    digest = make_wheel(wheels, "1.0")
    make_wheel(wheels, "2.0")
    project = make_project({"requirements.txt": f"homeostasis-tiny==1.0 --hash=sha256:{digest}\n"})
    done = trial_of(project, exact=True).run(["{python}", "-c", CODE])
    assert done.stdout == "1.0\n", done.stderr
    (project.root / "requirements.txt").write_text(f"homeostasis-tiny==2.0 --hash=sha256:{digest}\n")
    with pytest.raises(SandboxError, match="uv cannot rebuild the environment"):
        trial_of(project, exact=True)


def test_a_lock_file_is_installed(make_project, trial_of, wheels):
    """`uv.lock` keeps the version that was the newest when it was made."""
    make_wheel(wheels, "1.0")
    project = make_project({"shop.py": ""})
    with (project.root / "pyproject.toml").open("a") as file:
        file.write('\n[project]\nname = "shop"\nversion = "0"\nrequires-python = ">=3.8"\n')
        file.write('dependencies = ["homeostasis-tiny"]\n')
    subprocess.run([uv, "lock", "--offline", "--quiet", "--project", str(project.root)], check=True, timeout=60)
    make_wheel(wheels, "2.0")
    done = trial_of(project, exact=True).run(["{python}", "-c", CODE])
    assert done.stdout == "1.0\n", done.stderr


def test_what_is_not_there_offline_is_an_error(make_project, trial_of, wheels):
    """Nothing is fetched."""
    make_wheel(wheels, "1.0")
    with pytest.raises(SandboxError, match="uv cannot rebuild the environment from its cache"):
        trial_of(make_project({"requirements.txt": "homeostasis-tiny==3.0\n"}), exact=True)
