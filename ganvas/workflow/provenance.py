"""Where things come from: git's commit, DVC's hashes, the hardware."""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

# What `dvc repro` itself rewrites says nothing about the code that ran.
WRITTEN_BY_REPRO = (":!dvc.lock", ":!results")


def git(*arguments: str) -> str | None:
    """Git's answer; None where there is no repository or no commit, or `trouble`."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def trouble() -> tuple[str, str] | None:
    """What keeps git from answering, and its remedy; None where git answers, or has no repository.

    A folder that is another user's, as a volume in a container often is, git does not read.
    """
    try:
        done = subprocess.run(["git", "rev-parse"], capture_output=True, text=True)
    except OSError:
        return "git is not installed", "install it"
    # The command that git itself proposes, in whatever language it does.
    remedy = [line.strip() for line in done.stderr.splitlines() if "--add safe.directory" in line]
    return ("git does not trust this folder", f"type `{remedy[0]}`") if remedy else None


def warn() -> None:
    """A line on standard error where there is `trouble`."""
    if found := trouble():
        why, remedy = found
        print(f"warning: {why}, so commits are unknown; {remedy}", file=sys.stderr)


def unknown() -> str | None:
    """What is recorded where `trouble` hides the commit."""
    found = trouble()
    return f"unknown: {found[0]}" if found else None


def commit() -> str | None:
    return git("rev-parse", "HEAD")


def recorded(commit: str | None) -> str:
    """A commit as records name it; without one `unknown`, or `none` where there is none."""
    return commit or unknown() or "none"


def dirty(*apart: str) -> bool:
    """Whether code or parameters differ from the commit; paths `apart` do not count."""
    besides = (*WRITTEN_BY_REPRO, *(f":!{path}" for path in apart))
    return bool(git("status", "--porcelain", "--", ".", *besides))


def experiment() -> str | None:
    """The name that `dvc exp run` gave, where it is what runs."""
    return os.environ.get("DVC_EXP_NAME")


def experiments(name: str) -> list[str]:
    """The commits that `dvc exp` keeps under this name, one for each commit it started from."""
    # refs/exps/<two digits of that commit>/<its others>/<name>
    pattern = f"refs/exps/*/*/{name}"
    return (git("for-each-ref", "--format=%(objectname)", pattern) or "").split()


def dvc_hash(path: Path) -> str:
    """The hash that dvc.lock records for a file or a folder.

    A folder's is the md5 of the JSON list of its files' md5s and paths, marked ".dir".
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    return folder_hash(
        {
            file.relative_to(path).as_posix(): dvc_hash(file)
            for file in path.rglob("*")
            if file.is_file()
        }
    )


def folder_hash(md5s: Mapping[str, str]) -> str:
    """`dvc_hash` of a folder that has these files, by their paths in it."""
    entries = [{"md5": md5s[path], "relpath": path} for path in sorted(md5s)]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def recording_commit(md5: str) -> str | None:
    """The first commit, of any branch or experiment, whose dvc.lock holds this hash."""
    changes = git("log", "--all", "--reverse", "--format=%H", f"-S{md5}", "--", "dvc.lock") or ""
    # A change may also be the one that took it out.
    holding = (c for c in changes.split() if md5.encode() in (at(c, "dvc.lock") or b""))
    return next(holding, None)


def at(commit: str, path: str) -> bytes | None:
    """A file as the commit has it; None where it has none."""
    try:
        command = ["git", "show", f"{commit}:{path}"]
        return subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def hardware(device: str) -> str:
    """What computes here, the processor's name too; `device` as params.yaml names it."""
    from ganvas import devices  # PyTorch, which takes seconds

    return f"{_processor()} ({devices.describe(devices.choose(device))})"


def _processor() -> str:
    """Its name, as its maker wrote it."""
    with suppress(OSError):  # not Linux
        about = Path("/proc/cpuinfo").read_text()
        if found := re.search(r"^model name\s*: (.+)", about, re.MULTILINE):
            return found[1].strip()
    with suppress(OSError, subprocess.CalledProcessError):  # no Mac
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()
