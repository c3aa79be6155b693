"""How this process uses its machine: PyTorch's threads, memory between iterations, the home."""

import ctypes
import math
import os
import threading
import time
from functools import cache
from pathlib import Path


def usable_processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Processors that this process may really use: its affinity, cut by the container's quota.

    The quota is read from cgroup v2 (`cpu.max`) or v1 (`cpu.cfs_quota_us`).
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text()
        if quota != "max" and int(quota) > 0:
            count = min(count, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass  # no quota
    return max(1, count)


def configure() -> None:
    """Set OpenMP's and malloc's defaults and a home; what the environment already has wins."""
    find_a_home()
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_processors()))
    # How long a thread that waits for the next piece of work keeps its processor: short, and each
    # waking costs a fifth of gan's time; long, and two trainings on the same processors stop each
    # other (stages/__init__.py sets it low where that happens).
    os.environ.setdefault("GOMP_SPINCOUNT", "50000")
    if not any(name.startswith("MALLOC_") for name in os.environ):
        keep_memory()


def find_a_home() -> None:
    """Where a container's user has no home, or may not write there, let .ganvas/ do.

    MLflow does not start without one, and matplotlib would learn the fonts anew in every process.
    """
    instead = Path(".ganvas").absolute()
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor an entry in /etc/passwd
        os.environ["HOME"] = str(home := instead)
    if not os.access(home, os.W_OK):
        os.environ.setdefault("MPLCONFIGDIR", str(instead / "matplotlib"))


def keep_memory() -> None:
    """Let glibc keep freed memory for the next iteration; does nothing on other systems.

    By default it gives blocks of some megabytes back to the system and asks for them again: 1,000
    to 2,700 page faults in each iteration of dcgan.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return
    for option, size in (
        (-3, 32 << 20),  # M_MMAP_THRESHOLD, its largest: blocks below come from the heap
        (-1, 1 << 30),  # M_TRIM_THRESHOLD: free bytes at the heap's end before it shrinks
        (-2, 64 << 20),  # M_TOP_PAD: by how much it grows
    ):
        mallopt(option, size)


@cache
def end_with(process: int) -> None:
    """See to it that this process ends when the one that started it does, killed as it may be."""

    def watch() -> None:
        while os.getppid() == process:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
