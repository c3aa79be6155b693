"""A generator comes back from disk as it was, or with one line that says why not."""

import copy
from pathlib import Path
from typing import Any

import pytest
import recipes
import torch

from ganvas import files, networks
from ganvas.errors import GanvasError
from ganvas.networks import Architecture, Generator
from ganvas.training import checkpoints

FACTS = checkpoints.Facts(epoch=3, iteration=51, generator_loss=1 / 3)
NETWORKS = ("gan", "dcgan")


def architecture(
    name: str, latent_dim: int = 10, side: int = 28, channels: int = 1
) -> Architecture:
    return recipes.architecture(name, latent_dim=latent_dim, image_size=side, channels=channels)


def trained(name: str, seed: int = 1, latent_dim: int = 10) -> Generator:
    """A generator whose running statistics are no longer those of a new one."""
    generator, _ = networks.build(architecture(name, latent_dim), seed)
    generator(torch.randn(8, latent_dim, generator=torch.Generator().manual_seed(seed)) * 3)
    return generator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "generator" / "epoch-0003.safetensors"


@pytest.mark.parametrize("name", NETWORKS)
class TestRoundTrip:
    def test_gives_the_same_images(self, path: Path, name: str) -> None:
        generator = trained(name)
        checkpoints.save(path, generator, None, FACTS)
        loaded = checkpoints.load(path, architecture(name))
        z = torch.randn(4, 10)
        with torch.no_grad():
            assert torch.equal(loaded(z), generator.eval()(z))

    def test_is_ready_to_draw(self, path: Path, name: str) -> None:
        """Its statistics stay as they are, and nothing is recorded for a gradient."""
        checkpoints.save(path, trained(name), None, FACTS)
        loaded = checkpoints.load(path, architecture(name))
        assert not any(module.training for module in loaded.modules())
        assert not any(weight.requires_grad for weight in loaded.parameters())

    def test_prefers_the_moving_average(self, path: Path, name: str) -> None:
        generator, average = trained(name, seed=1), trained(name, seed=2)
        checkpoints.save(path, generator, average, FACTS)
        loaded = checkpoints.load(path, architecture(name)).state_dict()
        assert all(torch.equal(loaded[k], v) for k, v in average.state_dict().items())
        assert not all(torch.equal(loaded[k], v) for k, v in generator.state_dict().items())

    def test_writes_the_same_bytes_again(self, path: Path, name: str) -> None:
        generator = trained(name)
        average = copy.deepcopy(generator)
        checkpoints.save(path, generator, average, FACTS)
        first = path.read_bytes()
        other = generator.to(memory_format=torch.channels_last)
        checkpoints.save(path, other, average, FACTS)
        assert path.read_bytes() == first


def test_loading_leaves_torchs_random_state_as_it_was(path: Path) -> None:
    checkpoints.save(path, trained("gan"), None, FACTS)
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    checkpoints.load(path, architecture("gan"))
    assert torch.equal(torch.randn(4), expected)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("loss", [1 / 3, 1e-300, 5.0, 123456.789012345])
def test_facts_come_back_to_the_last_digit(path: Path, average: bool, loss: float) -> None:
    facts = checkpoints.Facts(epoch=12345, iteration=10**7, generator_loss=loss)
    generator = trained("gan")
    checkpoints.save(path, generator, copy.deepcopy(generator) if average else None, facts)
    found = checkpoints.facts(path)
    assert found == facts
    assert [type(value) for value in found] == [int, int, float]


class TestRefuses:
    def refusal(self, path: Path, *of: Any) -> str:
        with pytest.raises(GanvasError) as caught:
            checkpoints.load(path, architecture(*(of or ("gan",))))
        line = str(caught.value)
        assert line.startswith(f"{path}: ") and "\n" not in line
        return line

    @pytest.mark.parametrize(
        ("name", "latent_dim", "side"),
        [("dcgan", 10, 28), ("gan", 11, 28), ("gan", 10, 32)],
    )
    @pytest.mark.parametrize("average", [False, True])
    def test_weights_of_another_recipe(
        self, path: Path, name: str, latent_dim: int, side: int, average: bool
    ) -> None:
        generator = trained("gan")
        checkpoints.save(path, generator, copy.deepcopy(generator) if average else None, FACTS)
        line = self.refusal(path, name, latent_dim, side)
        assert (
            f"do not fit {name} with latent_dim {latent_dim} and grey images of {side} pixels; "
            "keep it with the architecture.json of its training"
        ) in line

    def test_dcgans_weights_for_gan_and_for_another_latent_dim(self, path: Path) -> None:
        checkpoints.save(path, trained("dcgan"), None, FACTS)
        assert "do not fit gan" in self.refusal(path, "gan")
        assert "do not fit dcgan with latent_dim 100" in self.refusal(path, "dcgan", 100)

    @pytest.mark.parametrize("name", ["gan", "dcgan", "dcgan_dense"])
    def test_those_of_grey_images_for_colour(self, path: Path, name: str) -> None:
        checkpoints.save(path, trained(name), None, FACTS)
        line = self.refusal(path, name, 10, 28, 3)
        assert f"do not fit {name} with latent_dim 10 and colour images of 28 pixels" in line

    @pytest.mark.parametrize("side", [27, 32, 48, 56, 64])
    def test_dcgans_of_another_size(self, path: Path, side: int) -> None:
        checkpoints.save(path, trained("dcgan"), None, FACTS)
        assert f"images of {side} pixels" in self.refusal(path, "dcgan", 10, side)

    def test_dcgan_dense_in_a_size_it_does_not_have(self, path: Path) -> None:
        checkpoints.save(path, trained("dcgan_dense"), None, FACTS)
        line = self.refusal(path, "dcgan_dense", 10, 30)
        assert "image_size: 30 is not allowed; a multiple of 4 is" in line

    def test_a_discriminator(self, path: Path) -> None:
        _, discriminator = networks.build(architecture("gan"), seed=0)
        checkpoints.save(path, discriminator, None, FACTS)
        assert "do not fit gan" in self.refusal(path)

    @pytest.mark.parametrize("kept", [0, 4, 100, -1])
    def test_a_truncated_file(self, path: Path, kept: int) -> None:
        checkpoints.save(path, trained("gan"), None, FACTS)
        path.write_bytes(path.read_bytes()[:kept])
        assert "no weights can be read" in self.refusal(path)
        with pytest.raises(GanvasError, match="no weights can be read"):
            checkpoints.facts(path)

    @pytest.mark.parametrize("content", [b"\x80\x04K\x01.", b"text" * 100, b"\xff" * 100])
    def test_a_file_of_another_kind(self, path: Path, content: bytes) -> None:
        path.parent.mkdir()
        path.write_bytes(content)
        assert "no weights can be read" in self.refusal(path)

    def test_a_missing_file(self, path: Path) -> None:
        assert "run dvc repro" in self.refusal(path)
        with pytest.raises(GanvasError, match="run dvc repro"):
            checkpoints.facts(path)

    def test_a_folder(self, path: Path) -> None:
        path.mkdir(parents=True)
        self.refusal(path)

    @pytest.mark.parametrize("metadata", [None, {"other": "1"}, {"facts": "1 2"}])
    def test_facts_of_a_file_that_has_none(
        self, path: Path, metadata: dict[str, str] | None
    ) -> None:
        files.write_tensors(path, {"weight": torch.zeros(2)}, metadata)
        with pytest.raises(GanvasError, match="epoch-0003"):
            checkpoints.facts(path)
