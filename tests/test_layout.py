"""Images keep their pixels on the way between networks and files."""

import numpy as np
import pytest

from ganvas import layout


def some(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_grey_images_have_no_channels_in_files() -> None:
    images = some(5, 1, 28, 28)
    assert np.array_equal(layout.for_files(images), images.reshape(5, 28, 28))
    assert np.array_equal(layout.for_networks(images.reshape(5, 28, 28)), images)


def test_those_in_colour_have_them_last_as_pictures_do() -> None:
    images = some(5, 3, 8, 10)
    found = layout.for_files(images)
    assert found.shape == (5, 8, 10, 3)
    for image, channel, row, column in ((0, 0, 0, 0), (4, 2, 7, 9), (1, 0, 2, 3), (3, 1, 6, 0)):
        assert found[image, row, column, channel] == images[image, channel, row, column]


@pytest.mark.parametrize("channels", [1, 3])
def test_there_and_back_is_the_same(channels: int) -> None:
    images = some(4, channels, 9, 7)
    there = layout.for_files(images)
    assert np.array_equal(layout.for_networks(there), images)
    assert there.flags.c_contiguous and layout.for_networks(there).flags.c_contiguous
