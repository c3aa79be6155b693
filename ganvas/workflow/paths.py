"""What lies beside the outputs. Where those are, ganvas/workflow/instances.py says."""

import os
from pathlib import Path

# An experiment runs in a copy of the repository; what outlives it belongs to the real one, which
# DVC names in DVC_ROOT.
ROOT = Path(os.environ.get("DVC_ROOT") or ".").resolve()
CACHE = ROOT / ".ganvas"  # states of trainings, downloaded weights: never an output
INCEPTION = CACHE / "inception"

ZOO, SEARCH = Path("docs/zoo.json"), Path("docs/search.json")  # benchmarks/ collects them
PUBLISHED = Path("docs/results.json")  # what pages say of the results beside their scores
