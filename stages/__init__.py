"""One module per stage of dvc.yaml, each started as `python -m stages.NAME`."""

import os
from pathlib import Path

# DVC runs queued experiments in copies of the repository, and `dvc queue start --jobs 2` two at
# once. There a thread that waits must let go of its processor at once. Measured on 2 cores (torch
# 2.15.0, iterations/s): gan makes 114 alone; each of two 51 at 0, 50 at 300, 39 at 2,000. Before
# ganvas is imported, whose default is for a training that is alone.
if Path(os.environ.get("DVC_ROOT") or ".").resolve() != Path.cwd():
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
