"""Tiny repositories, in which tests run the real commands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
SHIPPED = ("ganvas", "stages", "dvc.yaml", "params.yaml", ".dvcignore", ".gitignore")
# Without byte code every process would compile what it imports.
NOT_INHERITED = ("AWS_", "DVC_", "MLFLOW_", "PYTHONDONTWRITEBYTECODE")


def environment(**variables: str) -> dict[str, str]:
    """What a command finds around it: nothing of this machine's DVC, MLflow or S3."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)}
    # The interpreter that runs the tests must be the `python` of dvc.yaml.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # One thread: the tiny networks here gain nothing from more.
    ours = {"OMP_NUM_THREADS": "1", "PATH": path}
    ours |= {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org"}
    ours |= {"GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org"}
    return inherited | ours | variables


def run(
    folder: Path, *command: str, check: bool = True, **variables: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True
    )
    assert not check or done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done


def edit(folder: Path, **values: object) -> None:
    """Set dotted keys of params.yaml (`__` for the dot)."""
    yaml = YAML()
    path = folder / "params.yaml"
    params = yaml.load(path.read_text())
    for key, value in values.items():
        *parents, last = key.split("__")
        section = params
        for parent in parents:
            section = section[parent]
        section[last] = value
    with path.open("w") as file:
        yaml.dump(params, file)


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", message)


def make(folder: Path, **values: object) -> None:
    """This pipeline in a repository of its own, committed with `values` in params.yaml.

    Of models it has gan and dcgan, unless `values` say otherwise.
    """
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder)
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, "dvc", "config", "core.analytics", "false")
    edit(folder, **{"matrix__models": ["gan", "dcgan"], **values})
    commit(folder, "tiny")


def copy(made: Path, folder: Path) -> Path:
    """A copy, in which everything is as it was made."""
    return Path(shutil.copytree(made, folder, symlinks=True))


Files = dict[str, tuple[int, int]]


def files(folder: Path) -> Files:
    """Size and time of all that a repro reads or writes, and that a test may have changed."""
    places = ("data", "models", "samples", "results", "reports", "ganvas", "stages", ".ganvas")
    found = [path for place in places for path in (folder / place).rglob("*")]
    found += [folder / name for name in ("params.yaml", "dvc.yaml", "dvc.lock")]
    status = {str(path): path.lstat() for path in found if path.is_file()}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in status.items()}


def ran(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The stages that a `dvc repro` ran."""
    return set(re.findall(r"^Running stage '([^']+)'", done.stdout, re.MULTILINE))
