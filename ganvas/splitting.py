"""Many images through one network by several processes, each of which does whole batches.

The first of them is this one. The others are joblib's, as where images are read: they do not import
what called them, and what they are sent goes through pipes; PyTorch's own would go through
/dev/shm, of which a container has 64 MB. They start when the work has turned out to be large, wait
for more of it, and end with this process, however it ends.
"""

import copy
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ganvas import devices, process
from ganvas.errors import GanvasError

Made = TypeVar("Made")
Batch = tuple[Tensor, ...]

# Seconds of work after which the others start; until then this process works alone. Each takes 2 to
# 3 seconds of a processor to start, mostly to import PyTorch, lost where no more comes. How long
# images will take cannot be told from their number: Inception takes a hundred times as long as the
# classifier, and a GPU a fraction of that.
START = 10.0
_alone = [0.0]  # seconds so far


def split(
    function: Callable[..., Made], network: nn.Module, batches: Sequence[Batch], processes: int = 1
) -> list[Made]:
    """`function(network, *batch)` of each batch, in their order, by so many processes.

    The network is on its device; batches, and what is made of them, are on the CPU. Each process
    has a GPU, or an equal share of the threads, also where this one works alone: no byte depends on
    which of them a batch went to. Raises `GanvasError` where one of them is killed.
    """
    device, usual = next(network.parameters()).device, torch.get_num_threads()
    threads = max(1, usual // processes)
    if device.type == "cuda":
        processes, threads = min(processes, torch.cuda.device_count()), usual
    if processes == 1 or device.type == "mps":
        return [function(network, *batch) for batch in batches]
    done: list[Made] = []
    torch.set_num_threads(threads)
    try:
        while len(done) < len(batches) and _alone[0] < START:
            began = time.monotonic()
            done.append(function(network, *batches[len(done)]))
            _alone[0] += time.monotonic() - began
        if rest := batches[len(done) :]:
            done += _together(function, network, rest, _others(processes, device.type, threads))
        return done
    except BaseException as error:
        for other in _others(processes, device.type, threads):
            other.shutdown(kill_workers=True)
        _others.cache_clear()
        if not isinstance(error, BrokenProcessPool):
            raise
        raise GanvasError(
            f"one of {processes} processes was killed, perhaps for want of memory; run it again, "
            "with fewer train.processes if that happens again"
        ) from None
    finally:
        torch.set_num_threads(usual)


def _together(
    function: Callable[..., Made], network: nn.Module, batches: Sequence[Batch], others: list[Any]
) -> list[Made]:
    """Batch i by process i mod their number, of which this one is number 0."""
    processes, device = 1 + len(others), next(network.parameters()).device.type
    sent = network if device == "cpu" else copy.deepcopy(network).cpu()
    # Copies: with a view, all would be sent that it is a view of.
    copies = [tuple(map(torch.clone, b)) if i % processes else b for i, b in enumerate(batches)]
    jobs = [
        other.submit(_share, function, sent, device, copies[rank::processes])
        for rank, other in enumerate(others, start=1)
    ]
    mine = []
    for batch in batches[::processes]:
        mine.append(function(network, *batch))
        for job in jobs:
            if job.done():
                job.result()  # what it raised is not to wait until all else is done
    shares = [mine, *(job.result() for job in jobs)]
    return [shares[i % processes][i // processes] for i in range(len(batches))]


def _share(
    function: Callable[..., Made], network: nn.Module, device: str, batches: Sequence[Batch]
) -> list[Made]:
    network = network.to(device)
    return [function(network, *batch) for batch in batches]


@cache
def _others(processes: int, device: str, threads: int) -> list[Any]:
    """The others, each of which starts with its first work."""
    from joblib.externals.loky import ProcessPoolExecutor  # slow, only where there are others

    facts = [(os.getpid(), rank, device, threads) for rank in range(1, processes)]
    return [ProcessPoolExecutor(1, initializer=_begin, initargs=each) for each in facts]


def _begin(first: int, rank: int, device: str, threads: int) -> None:
    """In one of them, before anything else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first, which ends this one
    process.end_with(first)
    devices.choose(device)
    torch.set_num_threads(threads)
    if device == "cuda":
        torch.cuda.set_device(rank)
