"""A reading of images that is killed on its way, in a process of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

READING = """
import sys, time
from pathlib import Path
from ganvas.data import decoded, decoding, findings, folder
source, cache, part, kind = sys.argv[1:]
decoded.PART, findings.FEWEST = int(part), {}
original, fittings = decoding.fitted, []
def fitted(image, form):
    fittings.append(image)
    time.sleep(0.01 * (len(fittings) > %d))
    return original(image, form)
decoding.fitted = fitted
settings = dict(seed=0, test_share=0.3, validation_share=0.2, kind=kind)
folder.read(Path(source), decoding.Form(1, 8), cache=Path(cache), workers=1, **settings)
"""


def killed(source: Path, cache: Path, part: int, slow_after: int, kind: str) -> list[Path]:
    """The parts, of `part` bytes each, that `cache` has of it: two at least.

    After `slow_after` images it is slow, so that it is not through before it is killed.
    """
    command = [sys.executable, "-c", READING % slow_after, str(source), str(cache), str(part), kind]
    running = subprocess.Popen(command)
    while len(kept := list(cache.rglob("0*.npz"))) < 2 and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL and len(kept) >= 2
    return kept
