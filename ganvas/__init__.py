"""GAN and DCGAN for small images: exact to repeat, fast to train, measured.

The library is plain PyTorch and can be imported in a notebook; the stages in `stages/` join it
to DVC and MLflow.
"""

from ganvas import process

# Before the first `import torch` of this process: its thread pool reads these settings once.
process.configure()
