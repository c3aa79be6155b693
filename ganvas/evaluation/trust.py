"""Whether a data set's own classifier knows the data well enough for its features to score."""

from collections.abc import Mapping
from typing import Any

# Share of the test images that it has to read right. The committed ones read 92 % (Fashion-MNIST,
# the hardest here) to 99.8 %, guessing among ten classes 10 %; where more than one image in five is
# taken for another class, the measures count the classifier's mistakes.
LEAST_ACCURACY = 0.8


def warnings(classifier: Mapping[str, Any]) -> list[str]:
    """What is wrong with a classifier, by its classifier.json; nothing where all is well.

    Nor where there are no classes, and what is there instead answers nothing.
    """
    accuracy = classifier.get("test_accuracy", 1.0)
    if accuracy >= LEAST_ACCURACY:
        return []
    return [
        f"the classifier reads {100 * accuracy:.2f} % of the test images right, less than "
        f"{100 * LEAST_ACCURACY:.0f} %: scores by its features mean little; mend `classifier` in "
        "params.yaml"
    ]
