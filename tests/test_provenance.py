"""The hashes are DVC's, the commit is git's."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ganvas.workflow import provenance

Git = Callable[..., str]


def test_hashes_are_those_that_dvc_records(tmp_path: Path) -> None:
    files = {
        "file": b"content\r\n",
        "empty": b"",
        "folder/b.txt": b"b",
        "folder/a/one.bin": bytes(range(256)) * 5000,
        "folder/a/b/two": b"2",
        "folder/a-b/three": b"3",  # sorts before `a/` as a string, after it as a path
        "folder/a.b": b"4",
        "folder/name with spaces é.csv": b"x,y\r\n1,2\r\n",
        "folder/empty": b"",
        "flat/B": b"b",
        "flat/a": b"a",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "folder" / "empty folder").mkdir()
    names = ["file", "empty", "folder", "flat"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DVC_")}
    environment["DVC_NO_ANALYTICS"] = "1"
    for arguments in (["init", "--no-scm", "--quiet"], ["add", "--quiet", *names]):
        command = [sys.executable, "-m", "dvc", *arguments]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    recorded = {
        name: YAML(typ="safe").load((tmp_path / f"{name}.dvc").read_text())["outs"][0]["md5"]
        for name in names
    }
    assert recorded["folder"].endswith(".dir")
    assert {name: provenance.dvc_hash(tmp_path / name) for name in names} == recorded


def test_hash_changes_with_a_byte_and_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    hashes = [provenance.dvc_hash(tmp_path)]
    (tmp_path / "a").write_bytes(b"2")
    hashes.append(provenance.dvc_hash(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    hashes.append(provenance.dvc_hash(tmp_path))
    (tmp_path / "c").write_bytes(b"")
    hashes.append(provenance.dvc_hash(tmp_path))
    assert len(set(hashes)) == 4


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in no repository, where the process now is."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "t")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "t@example.org")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def git(outside: Path) -> Git:
    """Git in a repository with one commit: code, params.yaml, a lock and results."""

    def run(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    for name in ("params.yaml", "code.py", "dvc.lock", "results/digits/metrics.json"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text("1\n")
    run("init", "--quiet")
    run("add", "--all")
    run("commit", "--quiet", "--message", "all")
    return run


class TestCommit:
    def test_is_the_one_checked_out(self, outside: Path, git: Git) -> None:
        first = git("rev-parse", "HEAD")
        assert provenance.commit() == first and len(first) == 40
        (outside / "code.py").write_text("2\n")
        git("commit", "--quiet", "--all", "--message", "next")
        assert provenance.commit() == git("rev-parse", "HEAD") != first

    def test_is_none_outside_a_repository(self, outside: Path) -> None:
        assert provenance.commit() is None
        assert provenance.dirty() is False

    def test_is_none_before_the_first(self, outside: Path) -> None:
        subprocess.run(["git", "init", "--quiet"], check=True)
        (outside / "code.py").touch()
        assert provenance.commit() is None
        assert provenance.dirty() is True

    def test_is_none_without_git(
        self, outside: Path, git: Git, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(outside / "nowhere"))
        assert provenance.commit() is None
        assert provenance.dirty() is False


class TestTrouble:
    """Git is there, and the repository, but git does not answer."""

    def test_is_a_folder_of_another_user(
        self,
        outside: Path,
        git: Git,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        head = git("rev-parse", "HEAD")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(outside.parent / "gitconfig"))
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        assert provenance.commit() is None
        assert provenance.recorded(None) == "unknown: git does not trust this folder"
        provenance.warn()
        (line,) = capsys.readouterr().err.splitlines()
        assert "git does not trust this folder" in line
        # What it proposes mends it.
        subprocess.run(line.split("`")[1], shell=True, check=True)
        assert provenance.trouble() is None
        assert provenance.recorded(provenance.commit()) == head

    @pytest.mark.usefixtures("git")
    def test_is_no_git(
        self, outside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", str(outside / "nowhere"))
        assert provenance.recorded(provenance.commit()) == "unknown: git is not installed"
        provenance.warn()
        assert capsys.readouterr().err.count("\n") == 1

    def test_is_not_a_folder_without_a_commit(
        self, outside: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert provenance.recorded(provenance.commit()) == "none"
        subprocess.run(["git", "init", "--quiet"], check=True)
        assert provenance.recorded(provenance.commit()) == "none"
        provenance.warn()
        assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("git")
class TestDirty:
    def test_is_not_a_fresh_commit(self) -> None:
        assert provenance.dirty() is False

    @pytest.mark.parametrize("name", ["code.py", "params.yaml", "new.py", "stages/new.py"])
    def test_is_a_change_of_code_or_parameters(self, outside: Path, name: str) -> None:
        (outside / name).parent.mkdir(exist_ok=True)
        (outside / name).write_text("2\n")
        assert provenance.dirty() is True

    def test_is_a_file_that_is_gone(self, outside: Path) -> None:
        (outside / "code.py").unlink()
        assert provenance.dirty() is True

    def test_is_a_change_that_is_staged(self, outside: Path, git: Git) -> None:
        (outside / "code.py").write_text("2\n")
        git("add", "code.py")
        assert provenance.dirty() is True

    @pytest.mark.parametrize("name", ["dvc.lock", "results/digits/metrics.json", "results/new"])
    def test_is_not_what_repro_itself_writes(self, outside: Path, name: str) -> None:
        (outside / name).write_text("2\n")
        assert provenance.dirty() is False

    def test_is_not_what_is_set_apart(self, outside: Path) -> None:
        for name in ("docs/images/new.png", "README.md"):
            (outside / name).parent.mkdir(parents=True, exist_ok=True)
            (outside / name).write_text("2\n")
        assert provenance.dirty("docs") is True
        assert provenance.dirty("docs", "README.md") is False
        (outside / "code.py").write_text("2\n")
        assert provenance.dirty("docs", "README.md") is True

    def test_is_not_what_git_ignores(self, outside: Path, git: Git) -> None:
        (outside / ".gitignore").write_text("/models/\n")
        git("add", "--all")
        git("commit", "--quiet", "--message", "ignore")
        (outside / "models").mkdir()
        (outside / "models" / "weights").touch()
        assert provenance.dirty() is False


class TestExperiment:
    def test_is_the_name_that_dvc_gave(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DVC_EXP_NAME", "brave-name")
        assert provenance.experiment() == "brave-name"

    def test_is_none_in_a_plain_repro(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DVC_EXP_NAME", raising=False)
        assert provenance.experiment() is None
