"""What an extractor sees does not depend on how the images come to it."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ganvas import devices, files
from ganvas.errors import GanvasError
from ganvas.evaluation import classifier, contrastive, features, measures
from ganvas.evaluation.classifier import Classifier, one_cycle
from ganvas.evaluation.contrastive import Contrastive
from ganvas.evaluation.features import Features

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (203, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Classifier(1, 28, 16, 10).eval()


def close(found: Features, expected: Features) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_are_float32_with_probabilities_that_add_up_to_one(network: Classifier) -> None:
    found = features.extract(network, IMAGES, CPU)
    assert [x.shape for x in found] == [(203, 16), (203, 10)]
    assert [x.dtype for x in found] == [torch.float32] * 2
    torch.testing.assert_close(found.probabilities.sum(dim=1), torch.ones(203))


@pytest.mark.parametrize("batch_size", [1, 100, 203, 1000])
def test_do_not_depend_on_the_batch(network: Classifier, batch_size: int) -> None:
    found = features.extract(network, IMAGES, CPU, batch_size)
    close(found, features.extract(network, torch.from_numpy(IMAGES)[:, None], CPU))


def test_follow_the_order_of_the_images(network: Classifier) -> None:
    order = np.random.default_rng(1).permutation(len(IMAGES))
    found = features.extract(network, IMAGES[order], CPU, 17)
    expected = features.extract(network, IMAGES, CPU, 250)
    close(found, Features(*(x[torch.from_numpy(order)] for x in expected)))


def test_colour_is_seen_alike_in_either_layout() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Classifier(3, 16, 8, 4).eval()
    images = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
    found = features.extract(network, images, CPU)
    with torch.inference_mode():
        expected, logits = network(torch.from_numpy(np.moveaxis(images, -1, 1)))
    close(found, Features(expected, logits.softmax(1)))


@pytest.mark.parametrize(
    ("side", "halved", "left"), [(28, 3, 3), (64, 3, 8), (65, 3, 8), (100, 4, 6), (256, 5, 8)]
)
@pytest.mark.parametrize("kind", [Classifier, Contrastive])
def test_larger_images_are_halved_until_8_pixels_are_left(
    kind: Any, side: int, halved: int, left: int, tmp_path: Path
) -> None:
    network = kind(1, side, 16, *[4] * (kind is Classifier)).eval()
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in network.convolutions) == halved
    weights = network.state_dict()
    assert weights["features.0.weight"].shape == (16, 128 * left**2)
    files.write_tensors(tmp_path / "kept.safetensors", weights)
    module = classifier if kind is Classifier else contrastive
    images = torch.randint(0, 256, (2, 1, side, side), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(
            module.load(tmp_path / "kept.safetensors")(images)[0], network(images)[0]
        )


def test_a_step_is_adamws_at_the_rate_of_the_cycle() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mine = torch.nn.Linear(3, 2)
    theirs = copy.deepcopy(mine)
    optimizer = torch.optim.AdamW(theirs.parameters(), 0.1, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5)
    step, inputs = one_cycle(mine, 0.1, 5), torch.eye(3)
    for _ in range(5):
        step(mine(inputs).square().sum())
        optimizer.zero_grad()
        theirs(inputs).square().sum().backward()
        optimizer.step()
        schedule.step()
    for found, expected in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(found, expected)


def test_every_measure_is_the_same_whatever_the_batch(network: Classifier) -> None:
    real, fake = IMAGES[:100], IMAGES[100:]
    of_batch = {
        size: [features.extract(network, images, CPU, size) for images in (real, fake)]
        for size in (7, 250)
    }
    for name, measure in measures.MEASURES.items():
        if measure.of in ("features", "probabilities", "classes"):
            found, expected = (measure.compare(*of_batch[size], 0) for size in (7, 250))
            assert found == pytest.approx(expected, rel=1e-3, abs=1e-6), name


def test_are_read_as_they_were_written(network: Classifier, tmp_path: Path) -> None:
    found = features.extract(network, IMAGES, CPU)
    halves = [Features(*(x[part] for x in found)) for part in (slice(100), slice(100, None))]
    features.save(tmp_path / "features", dict(zip(("validation", "test"), halves, strict=True)))
    for split, half in zip(("validation", "test"), halves, strict=True):
        assert all(map(torch.equal, features.load(tmp_path / "features", split), half))
    with pytest.raises(GanvasError, match="features: cannot be read"):
        features.load(tmp_path / "features", "train")


@pytest.fixture
def settings_given_back() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.usefixtures("settings_given_back")
def test_float32_is_never_rounded_to_tf32() -> None:
    """Switched off before any device computes, so that a GPU gives a processor's numbers."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    devices.choose("cpu")
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT TESTED: no GPU")
@pytest.mark.usefixtures("settings_given_back")
def test_a_gpu_gives_a_processors_numbers(network: Classifier) -> None:
    device = devices.choose("cuda")
    expected = features.extract(network, IMAGES, CPU)
    on_gpu = Classifier(1, 28, 16, 10).eval().to(device)
    on_gpu.load_state_dict(network.state_dict())
    seen: list[str] = []
    on_gpu.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].device.type))
    close(features.extract(on_gpu, IMAGES, device), expected)
    assert set(seen) == {"cuda"}
