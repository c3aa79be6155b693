"""`make` says what is missing before it installs anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The Makefile as in a source ZIP, without a repository."""
    folder = tmp_path / "ganvas"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    return folder


def make(
    folder: Path, *arguments: str, **variables: str | None
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull} | variables
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # of the make that runs the tests
        environment[name] = None
    return subprocess.run(
        ["make", "PYTHON=false", *arguments],  # what would install, fails
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
    )


def first_line(done: subprocess.CompletedProcess[str]) -> str:
    """Before it there is nothing, after it only make's own `Error 1`."""
    assert done.returncode == 2 and done.stdout.count("\n") == 1, done.stderr
    assert done.stderr.count("\n") == 1 and "check] Error 1" in done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("target", ["quickstart", "repro"])
def test_a_zip_is_told_how_to_become_a_repository(unpacked: Path, target: str) -> None:
    line = first_line(make(unpacked, target))
    command = line.partition("type: ")[2]
    assert command.startswith("git init && ")
    identity = {
        f"GIT_{role}_{what}": "t" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    subprocess.run(
        command,
        shell=True,
        cwd=unpacked,
        check=True,
        env=os.environ | identity,
        capture_output=True,
    )
    assert make(unpacked, "check").returncode == 0


def test_a_folder_of_another_user_gets_gits_own_remedy(unpacked: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=unpacked, check=True)
    variables = {
        "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
    }
    line = first_line(make(unpacked, "quickstart", **variables))
    command = line.partition("type: ")[2]
    subprocess.run(command, shell=True, check=True, env=os.environ | variables)
    assert make(unpacked, "check", **variables).returncode == 0


def test_without_git_it_says_so(unpacked: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("make", "sh", "id", "grep"):
        (programs / name).symlink_to(str(shutil.which(name)))
    assert "git is not installed" in first_line(make(unpacked, "quickstart", PATH=str(programs)))


def test_a_user_without_name_and_home_gets_both(unpacked: Path) -> None:
    shown = ("--eval", "shown:; @echo $$LOGNAME; echo $$HOME", "shown")
    done = make(unpacked, *shown, LOGNAME=None, HOME=None)
    name = subprocess.check_output(["id", "-un"], text=True).strip()
    assert done.stdout.splitlines() == [name, str(unpacked / ".ganvas")]
    done = make(unpacked, *shown, LOGNAME="me", HOME="/home/me")  # what there is stays
    assert done.stdout.splitlines() == ["me", "/home/me"]
