"""GANs for small images: exact to repeat, fast to train, measured.

    import ganvas

    digits = ganvas.dataset("digits")
    model = ganvas.train("dcgan", digits.train.images, epochs=40)

`ganvas.notebook` has what this gives; the library below it is plain PyTorch. `ganvas/tracking/`
joins it to MLflow, `ganvas/workflow/` and the stages in `stages/` to DVC.
"""

from typing import TYPE_CHECKING, Any

from ganvas import process
from ganvas.errors import GanvasError

if TYPE_CHECKING:
    from ganvas.notebook import DataSet, Model, Scorer, Scores, dataset, recipe, train

# Before the first `import torch` of this process: its thread pool reads these settings once.
process.configure()

__all__ = [
    "DataSet",
    "GanvasError",
    "Model",
    "Scorer",
    "Scores",
    "dataset",
    "recipe",
    "train",
]


def __getattr__(name: str) -> Any:
    """What a notebook uses comes with its first use: the program must not wait for PyTorch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ganvas import notebook

    return getattr(notebook, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
