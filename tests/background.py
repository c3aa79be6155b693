"""Servers that tests start and stop."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PATIENCE = 120  # seconds for a server to answer


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def answers(url: str) -> None:
    with urllib.request.urlopen(url, timeout=5):
        pass


@contextmanager
def serving(
    log: Path, command: list[str], ready: Callable[[], object], **options: Any
) -> Iterator[None]:
    """A server in a process group of its own, from when `ready` raises nothing to the end."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **options
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                ready()
                break
            except Exception as error:  # whatever the client raises while nobody listens
                alive = process.poll() is None and time.monotonic() < deadline
                assert alive, f"{command}: {error}\n{log.read_text()}"
            time.sleep(0.1)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
