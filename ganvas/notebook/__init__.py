"""What `import ganvas` gives: train a recipe on images, draw from it, score what was drawn.

Plain PyTorch on tensors: no DVC, no MLflow, no file written but data sets below the user's cache.
The same seed gives the same bytes on the same hardware, and those of the pipeline's stages.
"""

from ganvas.notebook.data import DataSet, dataset
from ganvas.notebook.models import Model, recipe, train
from ganvas.notebook.scoring import Scorer, Scores

__all__ = ["DataSet", "Model", "Scorer", "Scores", "dataset", "recipe", "train"]
