"""Translation and cutout are DiffAugment's (Zhao 2020), image by image and pixel by pixel."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor

from ganvas import parts

AUGMENTATIONS: dict[str, ModuleType] = {
    name: parts.load("augment", name) for name in parts.names("augment")
}
SIZES = ((28, 28), (8, 8), (9, 9), (11, 26))  # halves and eighths that are whole, and not


def noise(count: int, height: int, width: int, channels: int = 1) -> Tensor:
    stream = torch.Generator().manual_seed(1)
    return torch.randn(count, channels, height, width, generator=stream)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(low: int, high: int, count: int, stream: torch.Generator) -> list[int]:
    numbers: list[int] = torch.randint(low, high + 1, (count,), generator=stream).tolist()
    return numbers


def translated(images: Tensor, stream: torch.Generator) -> Tensor:
    """Shifts of up to an eighth of the side, rounded; what comes in from outside is 0."""
    count, _, height, width = images.shape
    most_down, most_right = int(height / 8 + 0.5), int(width / 8 + 0.5)
    down = drawn(-most_down, most_down, count, stream)
    right = drawn(-most_right, most_right, count, stream)
    moved = torch.zeros_like(images)
    for image in range(count):
        for y in range(height):
            for x in range(width):
                from_y, from_x = y - down[image], x - right[image]
                if 0 <= from_y < height and 0 <= from_x < width:
                    moved[image, :, y, x] = images[image, :, from_y, from_x]
    return moved


def cut(images: Tensor, stream: torch.Generator) -> Tensor:
    """A rectangle of half of each side, rounded, begins half of its own before a point."""
    count, _, height, width = images.shape
    tall, wide = int(height / 2 + 0.5), int(width / 2 + 0.5)
    middle_y = drawn(0, height - tall % 2, count, stream)
    middle_x = drawn(0, width - wide % 2, count, stream)
    left = images.clone()
    for image in range(count):
        top, first = middle_y[image] - tall // 2, middle_x[image] - wide // 2
        left[image, :, max(top, 0) : top + tall, max(first, 0) : first + wide] = 0
    return left


PUBLISHED: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "cutout": cut,
    "translation": translated,
}


def test_each_has_a_plain_version_here() -> None:
    assert AUGMENTATIONS.keys() == PUBLISHED.keys()


@pytest.mark.parametrize("name", AUGMENTATIONS)
class TestBoth:
    @pytest.mark.parametrize("size", SIZES)
    def test_is_the_plain_one_to_the_byte(self, name: str, size: tuple[int, int]) -> None:
        images = noise(12, *size, channels=2)
        found = AUGMENTATIONS[name].augment(images, stream())
        assert found.shape == images.shape and found.dtype == images.dtype
        assert torch.equal(found, PUBLISHED[name](images, stream()))

    def test_draws_from_its_stream_and_from_nothing_else(self, name: str) -> None:
        images, mine = noise(6, 28, 28), stream()
        torch.manual_seed(4)
        undisturbed = torch.get_rng_state()
        first = AUGMENTATIONS[name].augment(images, mine)
        assert torch.equal(torch.get_rng_state(), undisturbed)
        torch.rand(3)
        assert torch.equal(AUGMENTATIONS[name].augment(images, stream()), first)
        assert not torch.equal(AUGMENTATIONS[name].augment(images, mine), first)  # it has moved on

    def test_leaves_what_it_was_given(self, name: str) -> None:
        images = noise(6, 28, 28)
        before = images.clone()
        AUGMENTATIONS[name].augment(images, stream())
        assert torch.equal(images, before)

    def test_each_image_has_its_own_draw(self, name: str) -> None:
        found = AUGMENTATIONS[name].augment(torch.ones(64, 1, 28, 28), stream())
        assert len({tuple(image.flatten().tolist()) for image in found}) > 32

    @pytest.mark.parametrize("size", [(8, 8), (6, 10)])
    def test_is_differentiable(self, name: str, size: tuple[int, int]) -> None:
        images = noise(3, *size).double().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda images: AUGMENTATIONS[name].augment(images, stream()), images
        )

    def test_shows_a_pixel_once_or_never_and_its_gradient_with_it(self, name: str) -> None:
        images = noise(8, 12, 20).requires_grad_()
        AUGMENTATIONS[name].augment(images, stream()).sum().backward()
        assert images.grad is not None
        assert images.grad.unique().tolist() == [0, 1]


@pytest.mark.parametrize(("height", "width"), [(28, 28), (8, 24)])
def test_translation_reaches_every_shift_and_none_beyond(height: int, width: int) -> None:
    """A single white pixel in the middle says how far it has come."""
    images = torch.zeros(4000, 1, height, width)
    images[:, :, height // 2, width // 2] = 1
    moved = AUGMENTATIONS["translation"].augment(images, stream())
    _, _, y, x = moved.nonzero().T
    assert len(y) == 4000
    for found, side in ((y - height // 2, height), (x - width // 2, width)):
        most = int(side / 8 + 0.5)
        shifts, counts = found.unique(return_counts=True)
        assert shifts.tolist() == list(range(-most, most + 1))
        assert counts.min() > 0.8 * 4000 / len(shifts)  # each as often


@pytest.mark.parametrize(("height", "width"), [(28, 28), (9, 22)])
def test_the_middle_of_a_cutout_is_anywhere(height: int, width: int) -> None:
    """From a square that is half outside at one end to one half outside at the other."""
    left = AUGMENTATIONS["cutout"].augment(torch.ones(4000, 1, height, width), stream())
    for axis, side in ((3, height), (2, width)):
        gone = (left == 0).any(axis)[:, 0]
        assert gone.any(1).all()  # something of each image
        size = int(side / 2 + 0.5)
        shortest = min(size - size // 2, size // 2 + size % 2)
        assert gone.sum(1).max() == size and gone.sum(1).min() == shortest
        first, last = gone.int().argmax(1), side - 1 - gone.int().flip(1).argmax(1)
        assert torch.equal(last - first + 1, gone.sum(1))  # in one piece
        assert first.unique().tolist() == list(range(side - shortest + 1))
        assert last.unique().tolist() == list(range(shortest - 1, side))


def test_grey_is_what_comes_in() -> None:
    """0 in [-1, 1]."""
    white = torch.ones(16, 1, 28, 28)
    for name in AUGMENTATIONS:
        assert AUGMENTATIONS[name].augment(white, stream()).unique().tolist() == [0, 1]
