"""What a machine of the cluster does with one job: a clone, `dvc repro`, `dvc push`.

Ray is given names and numbers. They go to a process of their own, this module, whose standard
input stays open as long as Ray's worker lives: at its end the whole process group is killed, so
that no training is left behind where Ray has ended it.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from filelock import FileLock, Timeout
from ruamel.yaml import YAML

from ganvas.workflow import program, remote
from ganvas.workflow.remote import Remote

TAIL = 20  # lines of a log that are shown of what failed
# Of another repository, or of the one in which Ray was started.
NOT_INHERITED = ("DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "GIT_DIR", "GIT_WORK_TREE")
SECRET = re.compile("SECRET|TOKEN|PASSWORD|CREDENTIAL|ACCESS_KEY", re.IGNORECASE)


class Job(TypedDict):
    """Names and numbers: all that goes to a worker."""

    name: str
    target: str  # as DVC names the stage
    instance: str  # whose states are carried; empty where there are none
    seed: int
    experiment: str  # as the head will call it; empty for the seed of params.yaml
    commit: str
    git: str  # a URL or a folder
    threads: int
    save_seconds: float


def run(job: Job, board: str) -> None:
    """The task that Ray runs. Raises `RuntimeError` with the tail of the log.

    `board` is the name of the actor that is told each line.
    """
    import ray

    notes = ray.get_actor(board)
    command = [sys.executable, "-m", "ganvas.workflow.worker"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment(job),
        start_new_session=True,
    )
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    tail: deque[str] = deque(maxlen=TAIL)
    for line in process.stdout:
        if line := redacted(line.rstrip()):
            tail.append(line)
            notes.note.remote(job["name"], socket.gethostname(), line)
    if process.wait():
        raise RuntimeError("\n".join(tail))


def environment(job: Job) -> dict[str, str]:
    """The worker's own, credentials too, with the number of threads on which the bytes hang."""
    inherited = {name: v for name, v in os.environ.items() if name not in NOT_INHERITED}
    # The interpreter that runs this must be the `python` of dvc.yaml.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = {**inherited, "PATH": path, "OMP_NUM_THREADS": str(job["threads"])}
    found["PYTHONUNBUFFERED"] = "1"
    return found | ({"DVC_EXP_NAME": job["experiment"]} if job["experiment"] else {})


def redacted(text: str) -> str:
    """Without passwords of URLs and what the environment holds under names of secrets."""
    text = re.sub(r"://[^/@\s]+@", "://***@", text)
    for name, value in os.environ.items():
        if len(value) > 3 and SECRET.search(name):
            text = text.replace(value, "***")
    return text


def main() -> None:
    job: Job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    with program.errors_in_one_line(), _folder() as folder:
        _make(job, folder / "repository")


def _make(job: Job, repository: Path) -> None:
    _run(["git", "clone", "-q", "--no-checkout", job["git"], str(repository)])
    os.chdir(repository)
    _run(["git", "checkout", "-q", "--detach", job["commit"]])
    _set_seed(job["seed"])
    place, runs = states(job), Path(".ganvas/runs") / job["instance"]
    dvc, store = [sys.executable, "-m", "dvc"], remote.of_project()
    with _carried(job, store, place, runs):
        _run([*dvc, "repro", "--pull", job["target"]])
    remote.complete(store, remote.CACHE)
    _run([*dvc, "push", "--run-cache", "--with-deps", job["target"]])
    store.remove(place)


def states(job: Job) -> str:
    """Where the remote keeps those of a job's training."""
    return f"states/{job['instance']}/{job['seed']}"


@contextmanager
def _carried(job: Job, store: Remote, place: str, runs: Path) -> Iterator[None]:
    """States of a training come from the remote first, and go there every `save_seconds`."""
    if not job["instance"]:
        yield
        return
    remote.fetch_states(store, place, runs)
    sent = {path.relative_to(runs).as_posix(): path.stat().st_mtime_ns for path in runs.rglob("*")}
    ended = threading.Event()

    def carry() -> None:
        while not ended.wait(job["save_seconds"]):
            try:
                remote.send_states(store, place, runs, sent)
            except Exception as error:  # the training goes on, and the next time it may go well
                print(f"states not sent: {error}", file=sys.stderr)

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _set_seed(seed: int) -> None:
    yaml, path = YAML(), Path("params.yaml")
    values = yaml.load(path.read_text())
    if values["seed"] != seed:
        values["seed"] = seed
        with path.open("w") as file:
            yaml.dump(values, file)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that is deleted at the end, and those of killed jobs before."""
    place = Path(tempfile.gettempdir()) / f"ganvas-cluster-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    for lock in place.glob("*.lock"):
        try:
            with FileLock(lock, timeout=0):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except (Timeout, OSError):
            pass  # it is being worked in
    folder = Path(tempfile.mkdtemp(dir=place))
    with FileLock(folder.with_suffix(".lock")):
        try:
            yield folder
        finally:
            os.chdir(place)
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(".lock").unlink(missing_ok=True)


def _end_with_the_worker() -> None:
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
