"""pytorch-fid's features, from a file of the same architecture that takes the same way.

That is mirror, hash check, cache, load. The number that its program prints is compared in
test_inception_pipeline.py.
"""

import pickle
from pathlib import Path

import numpy as np
import pooch
import pytest
import pytorch_fid.fid_score
import pytorch_fid.inception
import torch
from PIL import Image
from torch import nn
from weights import random_weights

from ganvas import layout
from ganvas.errors import GanvasError
from ganvas.evaluation import inception


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """A mirror that holds inception/<file>."""
    folder: Path = tmp_path_factory.mktemp("mirror")
    random_weights(folder / "inception")
    return folder


@pytest.fixture(scope="module")
def file(mirror):
    return mirror / "inception" / inception.FILE


@pytest.fixture(scope="module")
def network(file):
    return inception.load(file, sha256=None)


@pytest.fixture(scope="module")
def seen(network):
    """Features and logits of three images."""
    return network(blobs(3, seed=1))


@pytest.fixture
def pinned(mirror, file, monkeypatch):
    """The mirror is on, and its file is the published one."""
    monkeypatch.setenv("GANVAS_MIRROR", str(mirror))
    monkeypatch.setattr(inception, "SHA256", pooch.file_hash(str(file)))


def blobs(count, seed):
    """Grey images uint8 (N, 1, 28, 28): one bright spot each, somewhere, with noise."""
    generator = np.random.default_rng(seed)
    row, column = np.mgrid[:28, :28]
    y, x = generator.uniform(6, 22, size=(2, count, 1, 1))
    width = generator.uniform(1, 6, size=(count, 1, 1))
    light = 230 * np.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * width**2))
    noisy = light + generator.uniform(0, 25, size=(count, 28, 28))
    return torch.from_numpy(noisy.astype(np.uint8))[:, None]


class TestNetwork:
    @pytest.fixture
    def theirs(self, file, monkeypatch):
        monkeypatch.setattr(
            pytorch_fid.inception,
            "load_state_dict_from_url",
            lambda *_, **__: torch.load(file, weights_only=True),
        )
        return pytorch_fid.inception.InceptionV3([3]).eval()

    def test_features_of_colour_are_those_that_pytorch_fid_reads_from_files(
        self, network, theirs, tmp_path
    ):
        images = torch.cat([blobs(3, seed) for seed in (1, 2, 3)], dim=1)
        paths = [tmp_path / f"{number}.png" for number in range(3)]
        for path, image in zip(paths, layout.for_files(images.numpy()), strict=True):
            Image.fromarray(image).save(path)
        found = pytorch_fid.fid_score.get_activations(paths, theirs, num_workers=0)
        torch.testing.assert_close(
            network(images)[0], torch.from_numpy(found).float(), rtol=1e-4, atol=1e-5
        )

    def test_features_are_pytorch_fids(self, seen, theirs):
        images = blobs(3, seed=1)
        with torch.no_grad():
            expected = theirs(images.expand(-1, 3, -1, -1) / 255)[0]
        mine, _ = seen
        assert mine.dtype == torch.float32 and mine.shape == (3, 2048)
        torch.testing.assert_close(mine, expected.flatten(1), rtol=1e-4, atol=1e-5)

    def test_logits_are_those_without_the_bias(self, seen, file):
        classifier = torch.load(file, weights_only=True)
        assert classifier["fc.bias"].abs().max() > 0.001, "a bias of 0 would prove nothing"
        features, logits = seen
        assert logits.shape == (3, 1008)
        torch.testing.assert_close(logits, features @ classifier["fc.weight"].T)

    def test_grey_images_are_seen_as_colour_images_of_three_equal_channels(self, network, seen):
        colour = blobs(3, seed=1).expand(-1, 3, -1, -1)
        torch.testing.assert_close(network(colour), seen)

    def test_colours_are_told_apart(self, network):
        colour = torch.cat([blobs(3, seed) for seed in (1, 2, 3)], dim=1)
        assert not torch.allclose(network(colour)[0], network(colour.flip(1))[0], rtol=1e-3)

    def test_features_depend_neither_on_the_batch_nor_on_the_order(self, network, seen):
        images = blobs(3, seed=1)
        one_by_one = torch.cat([network(image[None])[0] for image in images.flip(0)]).flip(0)
        torch.testing.assert_close(one_by_one, seen[0], rtol=1e-5, atol=1e-6)

    def test_is_ready_for_inference_and_leaves_the_random_state_alone(self, file):
        before = torch.get_rng_state()
        network = inception.load(file, sha256=None, device="cpu")
        assert torch.equal(torch.get_rng_state(), before)
        assert not any(module.training for module in network.modules())
        assert not any(parameter.requires_grad for parameter in network.parameters())
        weight = network.network.Conv2d_2a_3x3.conv.weight
        assert weight.is_contiguous(memory_format=torch.channels_last)

    @pytest.mark.parametrize(
        "images",
        [
            torch.rand(2, 1, 28, 28),
            torch.zeros(2, 28, 28, dtype=torch.uint8),
            torch.zeros(2, 2, 28, 28, dtype=torch.uint8),
        ],
    )
    def test_refuses_what_are_no_images(self, network, images):
        with pytest.raises(GanvasError, match="uint8 images"):
            network(images)


class TestWeights:
    def test_the_published_file_is_the_one_that_pytorch_fid_loads(self):
        assert pytorch_fid.inception.FID_WEIGHTS_URL == inception.URL
        assert inception.URL.endswith(inception.FILE)
        assert Path(inception.FILE).stem.split("-")[-1] == inception.SHA256[:8]

    def test_are_fetched_once(self, pinned, file, tmp_path, monkeypatch):
        path = inception.weights(tmp_path)
        assert path.read_bytes() == file.read_bytes()
        monkeypatch.setenv("GANVAS_MIRROR", str(tmp_path / "gone"))
        assert inception.weights(tmp_path) == path

    def test_a_damaged_mirror_leaves_nothing_behind(self, pinned, tmp_path, monkeypatch):
        (tmp_path / "bad" / "inception").mkdir(parents=True)
        (tmp_path / "bad" / "inception" / inception.FILE).write_bytes(b"half a file")
        monkeypatch.setenv("GANVAS_MIRROR", str(tmp_path / "bad"))
        monkeypatch.setattr(inception, "URL", "http://127.0.0.1:9/" + inception.FILE)
        with pytest.raises(GanvasError, match="inception"):
            inception.weights(tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_of_another_hash_are_refused(self, file):
        with pytest.raises(GanvasError, match="sha256 differs"):
            inception.load(file, inception.SHA256)

    def test_that_are_missing_are_named(self, tmp_path):
        with pytest.raises(GanvasError, match="no such weights file"):
            inception.load(tmp_path / "none.pth", sha256=None)

    def test_of_another_network_are_refused(self, tmp_path):
        torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
        (tmp_path / "text.pth").write_text("not a weights file")
        for name in ("other.pth", "text.pth"):
            with pytest.raises(GanvasError, match=f"{name}: does not hold the weights"):
                inception.load(tmp_path / name, sha256=None)

    def test_code_inside_is_never_run(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return Path.touch, (tmp_path / "it ran",)

        (tmp_path / "trap.pth").write_bytes(pickle.dumps(Trap(), protocol=2))
        torch.save({"fc.weight": Trap()}, tmp_path / "zip.pth")
        for name in ("trap.pth", "zip.pth"):
            with pytest.raises(GanvasError, match="does not hold the weights"):
                inception.load(tmp_path / name, sha256=None)
        assert not (tmp_path / "it ran").exists()
