"""The features of a data set without classes: learnt from its images alone, the same every time."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from ganvas import config, devices, files, seeds
from ganvas.data import normalize
from ganvas.errors import GanvasError
from ganvas.evaluation import classifier, contrastive, features
from ganvas.evaluation.contrastive import Contrastive
from ganvas.evaluation.metrics.frechet import frechet_distance, statistics

CPU = torch.device("cpu")
SETTINGS = config.Classifier(epochs=2, batch_size=16, lr=0.004, features=8, seed=0)


@pytest.fixture(autouse=True)
def deterministic() -> None:
    devices.choose("cpu")


def images(count: int = 40, channels: int = 1, side: int = 28) -> Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (count, channels, side, side))
    return torch.from_numpy(pixels.astype(np.uint8))


def trained(of: Tensor, **changes: float) -> Contrastive:
    settings = SETTINGS.model_copy(update=changes)
    *_, (network, _) = contrastive.train(settings, of, CPU)
    return network


def contents(network: Contrastive) -> bytes:
    """Of a file of its weights."""
    return save({name: value.contiguous() for name, value in network.state_dict().items()})


def stream() -> torch.Generator:
    return seeds.generator(0, "test")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    raw = tmp_path_factory.mktemp("raw")
    normalize.export_digits(raw / normalize.DIGITS)
    splits = normalize.splits("digits", raw, 28, 200)
    return {
        split: {name: torch.from_numpy(array) for name, array in arrays.items()}
        for split, arrays in splits.items()
    }


class TestTraining:
    def test_gives_the_same_bytes_again(self) -> None:
        first, second = (contents(trained(images())) for _ in range(2))
        assert first == second

    def test_follows_the_seed(self) -> None:
        first, second = (trained(images(), seed=seed).state_dict() for seed in (0, 1))
        assert not torch.equal(first["features.0.weight"], second["features.0.weight"])

    def test_draws_from_streams_of_its_own(self) -> None:
        before = torch.get_rng_state()
        first = contents(trained(images()))
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(1)
        assert contents(trained(images())) == first

    def test_moves_every_weight(self) -> None:
        before, after = (trained(images(), epochs=epochs).state_dict() for epochs in (1, 3))
        for name in before:
            assert not torch.equal(before[name], after[name]), name

    def test_learns_to_find_an_image_s_other_view(
        self, digits: dict[str, dict[str, Tensor]]
    ) -> None:
        settings = SETTINGS.model_copy(update={"epochs": 4, "features": 32})
        found = contrastive.train(settings, digits["train"]["images"][:320], CPU)
        losses = [loss for _, loss in found]
        assert losses[-1] < losses[0] < math.log(2 * 16 - 1)  # what chance alone would get

    @pytest.mark.parametrize("count", [2, 5, 17])
    def test_goes_with_few_images(self, count: int) -> None:
        """Fewer than a batch, and a last batch of one image, which has no other beside it."""
        network = trained(images(count))
        assert all(value.isfinite().all() for value in network.state_dict().values())

    def test_goes_with_images_that_are_all_the_same(self) -> None:
        outputs, _ = trained(images(1).expand(20, -1, -1, -1))(images(3))
        assert outputs.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [28, 32, 48, 64])
def test_takes_any_channels_and_size(channels: int, side: int, tmp_path: Path) -> None:
    network = trained(images(6, channels, side), epochs=1)
    seen = images(3, channels, side)
    outputs, logits = network(seen)
    assert (outputs.shape, outputs.dtype, logits.tolist()) == ((3, 8), torch.float32, [[0]] * 3)
    files.write_tensors(tmp_path / "contrastive.safetensors", network.state_dict())
    again = contrastive.load(tmp_path / "contrastive.safetensors")
    torch.testing.assert_close(again(seen)[0], outputs, rtol=1e-4, atol=1e-4)
    assert not again.training
    assert not any(weight.requires_grad for weight in again.parameters())


class TestWeightsThatAreNone:
    def refused(self, path: Path) -> None:
        with pytest.raises(GanvasError, match="not the weights of a contrastive network") as caught:
            contrastive.load(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "contrastive.safetensors")

    def test_no_safetensors(self, tmp_path: Path) -> None:
        (tmp_path / "contrastive.safetensors").write_text("weights")
        self.refused(tmp_path / "contrastive.safetensors")

    def test_of_the_classifier(self, tmp_path: Path) -> None:
        network = classifier.Classifier(1, 28, 8, 10)
        files.write_tensors(tmp_path / "classifier.safetensors", network.state_dict())
        self.refused(tmp_path / "classifier.safetensors")

    def test_of_other_shapes(self, tmp_path: Path) -> None:
        weights = Contrastive(1, 28, 8).state_dict()
        weights["projection.0.weight"] = torch.zeros(3, 3)
        files.write_tensors(tmp_path / "contrastive.safetensors", weights)
        self.refused(tmp_path / "contrastive.safetensors")


class TestLoss:
    def test_is_that_of_the_paper(self) -> None:
        """Equation 1, in words of loops."""
        projections = torch.randn(6, 5, generator=stream(), dtype=torch.float64)
        unit = (projections / projections.norm(dim=1, keepdim=True)).tolist()

        def similar(i: int, j: int) -> float:
            product = sum(a * b for a, b in zip(unit[i], unit[j], strict=True))
            return math.exp(product / contrastive.TEMPERATURE)

        losses = [
            -math.log(similar(i, (i + 3) % 6) / sum(similar(i, k) for k in range(6) if k != i))
            for i in range(6)
        ]
        assert contrastive.nt_xent(projections).item() == pytest.approx(sum(losses) / 6)

    def test_is_low_where_views_agree_and_others_differ(self) -> None:
        views = torch.eye(4)
        agree = contrastive.nt_xent(torch.cat([views, views]))
        assert agree < contrastive.nt_xent(torch.cat([views, views.roll(1, 0)]))


class TestViews:
    def test_keep_shape_and_range(self) -> None:
        seen = contrastive.view(images(5, 3, 32) / 255, stream())
        assert seen.shape == (5, 3, 32, 32)
        assert 0 <= seen.min() < seen.max() <= 1

    def test_differ_between_images_and_draws(self) -> None:
        """Also where all images are the same, also within one channel."""
        same, of = images(1, 3, 32).expand(4, -1, -1, -1) / 255, stream()
        first, second = contrastive.view(same, of), contrastive.view(same, of)
        assert not torch.equal(first[0], first[1])
        assert not torch.equal(first, second)

    def test_are_of_their_own_image(self) -> None:
        """An image of one brightness stays one of about that, whatever its neighbours are."""
        levels = torch.tensor([0.1, 0.5, 0.9])
        seen = contrastive.view(levels[:, None, None, None].expand(-1, 1, 28, 28), stream())
        means = seen.mean((1, 2, 3))
        assert torch.equal(means.argsort(), torch.arange(3))

    def test_leave_what_they_show_where_it_was(self) -> None:
        """A square there is neither lost nor mirrored nor turned upside down."""
        square = torch.zeros(50, 1, 28, 28)
        square[:, :, 6:14, 6:14] = 1  # above and to the left
        seen = contrastive.view(square, stream()) > 0.6
        corners = seen.unflatten(2, (2, 14)).unflatten(4, (2, 14)).sum((0, 1, 3, 5))
        assert corners.argmax() == 0
        assert corners[0, 0] > 0.7 * corners.sum()


class TestWhitening:
    def spread(self, network: Contrastive, of: Tensor) -> Tensor:
        found = features.extract(network, of, CPU).features.double()
        return torch.linalg.eigvalsh(torch.cov(found.T))

    def test_brings_directions_nearer_to_each_other(
        self, digits: dict[str, dict[str, Tensor]]
    ) -> None:
        of = digits["train"]["images"][:400]
        network = trained(of, features=32)
        whitened = self.spread(network, of)
        network.mean.zero_()
        network.whitening.copy_(torch.eye(32))
        raw = self.spread(network, of)
        assert whitened.max() < 1
        # The measure: how many directions share the variance (participation ratio).
        directions = [float(each.sum() ** 2 / each.square().sum()) for each in (raw, whitened)]
        assert directions[1] > 2 * directions[0]

    def test_centres_the_features(self, digits: dict[str, dict[str, Tensor]]) -> None:
        of = digits["train"]["images"][:400]
        found = features.extract(trained(of), of, CPU).features
        torch.testing.assert_close(found.mean(0), torch.zeros(8), atol=1e-5, rtol=0)

    def test_makes_the_scale_of_features_no_matter(self) -> None:
        network, of = Contrastive(1, 28, 8).eval(), images()
        network.whiten(of)
        before = network(of)[0]
        with torch.no_grad():
            for weight in network.features.parameters():
                weight *= 10
        network.whiten(of)
        torch.testing.assert_close(network(of)[0], before, rtol=1e-3, atol=1e-4)


class TestOfDigits:
    """What learning is for: images of a kind lie together, and what is no digit lies apart."""

    @pytest.fixture(scope="class")
    @classmethod
    def network(cls, digits: dict[str, dict[str, Tensor]]) -> Contrastive:
        return trained(digits["train"]["images"], epochs=4, features=64, batch_size=64)

    def test_the_nearest_image_is_most_often_of_the_same_digit(
        self, network: Contrastive, digits: dict[str, dict[str, Tensor]]
    ) -> None:
        known, asked = digits["train"], digits["test"]
        found, of = (
            functional.normalize(features.extract(network, each["images"], CPU).features)
            for each in (asked, known)
        )
        nearest = known["labels"][(found @ of.T).argmax(1)]
        assert (nearest == asked["labels"]).double().mean() > 0.9

    def test_the_distance_grows_with_what_is_wrong(
        self, network: Contrastive, digits: dict[str, dict[str, Tensor]]
    ) -> None:
        real, others = digits["test"]["images"], digits["train"]["images"][:400]
        coarse = functional.avg_pool2d(others.float(), 4).round().byte()
        sets = {
            "none": others,
            "halves swapped": others.roll(14, 2),
            "coarse": coarse.repeat_interleave(4, 2).repeat_interleave(4, 3),
            "one digit": digits["train"]["images"][digits["train"]["labels"] == 3],
            "noise": torch.randint(0, 256, others.shape, generator=stream(), dtype=torch.uint8),
        }
        truth = statistics(features.extract(network, real, CPU).features)
        found = {
            name: frechet_distance(*truth, *statistics(features.extract(network, of, CPU).features))
            for name, of in sets.items()
        }
        floor = found.pop("none")
        assert all(value > 2 * floor for value in found.values()), (floor, found)
        assert found["noise"] == max(found.values())
