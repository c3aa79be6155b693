"""The processes of one training: process 0 starts the others on its machine, and all end together.

They meet over the loopback interface, and find each other by torchrun's environment variables, so
that torchrun may start them instead, over several machines. Where process 0 is gone, however it
ended, the pipe that is each other one's standard input is closed.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.distributed_c10d import Store

from ganvas.errors import GanvasError
from ganvas.training.sharing import PartedError, Sharing

HOST = "127.0.0.1"
STARTED = "GANVAS_STARTED_BY_PROCESS_0"
PATIENCE = 10  # seconds in which a process ends by itself
GOES_ON = "the training stops, and the same command goes on from its last state"


def place(processes: int, sync_batch_norm: bool = False) -> Sharing:
    """Of `train.processes`, the one that this process is: the first, where no other started it.

    Raises `GanvasError` where torchrun has started another number.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return Sharing(processes, 0, sync_batch_norm)
    started = int(os.environ["WORLD_SIZE"])
    if started != processes:
        raise GanvasError(
            f"train.processes: {processes}, but {started} were started; set it to {started}, since "
            "results depend on it"
        )
    sharing = Sharing(processes, int(os.environ["RANK"]), sync_batch_norm)
    if STARTED in os.environ:
        threading.Thread(target=_end_with_process_0, args=[sharing], daemon=True).start()
        sharing.start = _meet
    return sharing


def settle(sharing: Sharing, device: torch.device) -> None:
    """Take this process's part of the machine: a GPU of its own, or a share of the threads.

    Raises `GanvasError` where there are too few GPUs, or the device knows no other processes.
    """
    if sharing.processes == 1:
        return
    if device.type == "mps":
        raise GanvasError(
            f"train.processes: {sharing.processes} cannot share device: mps; set device: cpu, or "
            "train.processes: 1"
        )
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", sharing.rank))
        here = int(os.environ.get("LOCAL_WORLD_SIZE", sharing.processes))
        if (there := torch.cuda.device_count()) < here:
            raise GanvasError(
                f"train.processes: {here} on this machine, which has {there} GPUs; each needs one"
            )
        torch.cuda.set_device(local)
    elif "RANK" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // sharing.processes))


@contextmanager
def others(sharing: Sharing, device: torch.device, command: Sequence[str]) -> Iterator[None]:
    """Around what process 0 does: the others, which run `command`, start when it needs them.

    However it ends, they end too. Raises `GanvasError` with one line where one ends before.
    """
    children: list[subprocess.Popen[bytes]] = []
    over = threading.Event()
    if sharing.processes > 1 and "RANK" not in os.environ:
        sharing.start = lambda: _start(sharing, command, children, over)
    try:
        yield
        if sharing.processes > 1 and not sharing.start:  # torchrun's, who wait from the start
            sharing.connect(device)
    except PartedError as error:
        raise GanvasError(_fallen(children, PATIENCE) or str(error)) from None
    finally:
        over.set()
        if sharing.connected and sharing.idle:
            with suppress(PartedError):
                sharing.tell(0, 0)
                sharing.leave()
                for child in children:
                    child.wait(PATIENCE)
        _end(children)


def wait_for_the_end() -> None:
    """In a process that lost another: it is process 0 that says so, and ends this one."""
    if STARTED in os.environ:
        time.sleep(6 * PATIENCE)


def _start(
    sharing: Sharing,
    command: Sequence[str],
    children: list[subprocess.Popen[bytes]],
    over: threading.Event,
) -> Store:
    """Start the others, and a watch over them; returns where all meet."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
    store = TCPStore(HOST, 0, is_master=True, wait_for_workers=False)
    variables = {
        "WORLD_SIZE": str(sharing.processes),
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(store.port),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        STARTED: "1",
    }
    for rank in range(1, sharing.processes):
        child = subprocess.Popen(
            command,
            env=os.environ | variables | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdin=subprocess.PIPE,
            process_group=0,  # Ctrl-C is process 0's affair
        )
        children.append(child)
    threading.Thread(target=_watch, args=[children, over], daemon=True).start()
    met: Store = store
    return met


def _meet() -> Store:
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store: Store = TCPStore(address, port, is_master=False)
    return store


def _watch(children: Sequence[subprocess.Popen[bytes]], over: threading.Event) -> None:
    """End process 0 where one of the others is gone and it does not see so itself.

    It does where it talks to that one: not while all still look for each other, nor while a GPU
    waits for another.
    """
    while not over.wait(0.5):
        if line := _fallen(children):
            if not over.wait(PATIENCE):
                print(f"error: {line}", file=sys.stderr, flush=True)
                _end(children)
                os._exit(1)
            return


def _fallen(children: Sequence[subprocess.Popen[bytes]], patience: float = 0) -> str | None:
    """What to say of one that has ended; it may take a moment until the system knows."""
    until = time.monotonic() + patience
    while children:
        for rank, child in enumerate(children, start=1):
            if (code := child.poll()) is not None:
                how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
                return f"rank {rank} of {len(children) + 1} has ended ({how}): {GOES_ON}"
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return None


def _end(children: Sequence[subprocess.Popen[Any]]) -> None:
    """They write nothing: none has to be let finish."""
    for child in children:
        child.kill()
    for child in children:
        child.wait()


def _end_with_process_0(sharing: Sharing) -> None:
    """In a process that it started: wait until it is gone."""
    os.read(0, 1)  # sys.stdin would have to be let go of before this process can end
    if sharing.rank == 1:  # one for all
        print(
            f"error: rank 0 of {sharing.processes} was killed: {GOES_ON}",
            file=sys.stderr,
            flush=True,
        )
    os._exit(1)


def _loopback() -> str:
    """Gloo would ask for this machine's name, which need not lead anywhere."""
    return next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
