"""L1, PSNR and SSIM of images against the ones that they should be."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from ganvas.errors import GanvasError
from ganvas.evaluation.metrics.truth import l1, psnr, ssim

MEASURES = (l1, psnr, ssim)


def noisy(shape: tuple[int, ...], amount: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth images, and the same with noise of that many levels."""
    stream = np.random.default_rng(seed)
    truth = stream.integers(64, 192, shape)
    for axis in (1, 2):
        truth = (truth + np.roll(truth, 1, axis) + np.roll(truth, 2, axis)) // 3
    noise = stream.integers(-amount, amount + 1, shape)
    return (truth + noise).astype(np.uint8), truth.astype(np.uint8)


def test_of_equal_images() -> None:
    _, truth = noisy((3, 28, 28), 0)
    assert (l1(truth, truth), ssim(truth, truth)) == (0.0, 1.0)
    assert psnr(truth, truth) == pytest.approx(20 * math.log10(255 / 0.5))


def test_of_black_for_white() -> None:
    black, white = (np.full((2, 16, 16), level, np.uint8) for level in (0, 255))
    assert (l1(black, white), psnr(black, white)) == (1.0, 0.0)
    # Nothing varies, so Wang's equation 13 leaves the means alone: C1 / (255² + C1).
    assert ssim(black, white) == pytest.approx(2.55**2 / (255**2 + 2.55**2))


def test_are_means_over_the_images() -> None:
    truth = np.full((2, 16, 16), 100, np.uint8)
    images = truth + np.array([10, 20], np.uint8)[:, None, None]
    assert l1(images, truth) == pytest.approx(15 / 255)
    expected = [20 * math.log10(255 / error) for error in (10, 20)]
    assert psnr(images, truth) == pytest.approx(sum(expected) / 2)
    for measure in MEASURES:
        alone = [measure(images[[i]], truth[[i]]) for i in (0, 1)]
        assert measure(images, truth) == pytest.approx(sum(alone) / 2)


def wang(image: Tensor, truth: Tensor) -> float:
    """Equation 13, written as the paper has it, of windows that lie in the image."""
    places = torch.arange(-5, 6, dtype=torch.float64)
    line = torch.exp(-(places**2) / (2 * 1.5**2))
    window = torch.outer(line, line)[None, None] / line.sum() ** 2

    def mean(values: Tensor) -> Tensor:
        return conv2d(values[None, None], window)

    x, y = image.double(), truth.double()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy = mean(x * x) - mx**2, mean(y * y) - my**2
    both = mean(x * y) - mx * my
    scores = (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return scores.mean().item()


def test_ssim_is_the_papers() -> None:
    images, truth = noisy((4, 28, 28), 40)
    pairs = zip(torch.from_numpy(images), torch.from_numpy(truth), strict=True)
    expected = [wang(image, true) for image, true in pairs]
    assert ssim(images, truth) == pytest.approx(np.mean(expected), abs=1e-9)
    assert 0.1 < ssim(images, truth) < 0.9


def test_in_colour_are_means_over_the_channels() -> None:
    images, truth = noisy((3, 20, 24, 3), 30)
    for measure in (l1, ssim):
        channels = [measure(images[..., c], truth[..., c]) for c in range(3)]
        assert measure(images, truth) == pytest.approx(sum(channels) / 3)


@pytest.mark.parametrize("measure", MEASURES)
def test_more_noise_is_worse(measure) -> None:  # type: ignore[no-untyped-def]
    scores = [measure(*noisy((4, 20, 20), amount)) for amount in (5, 20, 60)]
    assert scores == sorted(scores, reverse=measure is not l1) and len(set(scores)) == 3


@pytest.mark.parametrize("measure", MEASURES)
def test_refuses_in_one_line(measure) -> None:  # type: ignore[no-untyped-def]
    truth = np.zeros((3, 16, 16), np.uint8)
    for images in (truth[:2], truth[:, :12], truth.astype(np.float32), truth[0]):
        with pytest.raises(GanvasError) as error:
            measure(images, truth)
        assert "\n" not in str(error.value)


def test_ssim_needs_its_window() -> None:
    small = np.zeros((2, 10, 12), np.uint8)
    with pytest.raises(GanvasError, match="images of 12 x 10 pixels; its window takes 11"):
        ssim(small, small)
