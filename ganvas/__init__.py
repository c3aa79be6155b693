"""GAN and DCGAN for small images: exact to repeat, fast to train, measured.

The library is plain PyTorch and can be imported in a notebook; `ganvas/tracking/` joins it to
MLflow, `ganvas/workflow/` and the stages in `stages/` to DVC.
"""

from ganvas import process

# Before the first `import torch` of this process: its thread pool reads these settings once.
process.configure()
