"""Every data set becomes the same arrays, and a file that is not what it should be is named."""

import gzip
import hashlib
import os
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from ruamel.yaml import YAML
from safetensors.numpy import save
from sklearn.datasets import load_digits

from ganvas import files
from ganvas.data import datasets, normalize
from ganvas.data.sources import SOURCES
from ganvas.errors import GanvasError
from ganvas.workflow import instances
from stages import download as download_stage
from stages import normalize as normalize_stage

SPLITS = ("train", "validation", "test")


def idx(array: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes, not compressed."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw folder of digits."""
    folder = tmp_path_factory.mktemp("digits")
    normalize.export_digits(folder / normalize.DIGITS)
    return folder


class TestDigits:
    def test_stages_make_the_three_splits_from_nothing(
        self, tmp_path: Path, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        params["datasets"]["digits"]["validation_images"] = 200
        YAML().dump(params, Path("params.yaml"))
        digits = instances.data_set("digits")
        download_stage.main(digits)
        normalize_stage.main(digits)
        folder = Path("data/normalized/digits")
        made = {*(f"{split}.safetensors" for split in SPLITS), "classes.json"}
        assert {path.name for path in folder.iterdir()} == made
        assert digits.class_names == [*"0123456789"]
        for split, count in zip(SPLITS, (1097, 200, 500), strict=True):
            loaded = datasets.load(folder, split)
            assert loaded.images.shape == (count, 1, 28, 28)
            assert loaded.labels.shape == (count,)
            assert (loaded.images.dtype, loaded.labels.dtype) == (torch.uint8, torch.int64)
            assert (loaded.images.min(), loaded.images.max()) == (0, 255)
            assert loaded.labels.unique().tolist() == list(range(10))

    def test_without_labels_there_are_images_alone(self, tmp_path: Path) -> None:
        images = np.zeros((3, 3, 8, 8), np.uint8)
        normalize.write(tmp_path / "train.safetensors", {"images": images})
        loaded = datasets.load(tmp_path, "train")
        assert loaded.labels is None and loaded.tensors().keys() == {"images"}
        assert loaded.first(2).images.shape == (2, 3, 8, 8) and loaded.first(2).labels is None
        assert loaded.pixels().shape == (3, 8, 8, 3)

    def test_a_second_time_gives_the_same_bytes(self, raw: Path, tmp_path: Path) -> None:
        normalize.export_digits(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == (raw / normalize.DIGITS).read_bytes()
        first, again = (normalize.splits("digits", raw, 28, 200) for _ in range(2))
        for split in SPLITS:
            assert first[split]["images"].tobytes() == again[split]["images"].tobytes()
            assert first[split]["labels"].tobytes() == again[split]["labels"].tobytes()

    def test_are_the_published_bytes(self, raw: Path) -> None:
        found = hashlib.sha256((raw / normalize.DIGITS).read_bytes()).hexdigest()
        assert found == SOURCES["digits"].files[normalize.DIGITS]

    def test_are_scikit_learns_each_in_exactly_one_split(self, raw: Path) -> None:
        digits = load_digits()
        grey = (digits.images * (255 / 16)).round().astype(np.uint8)
        published = Counter(
            (image.tobytes(), label) for image, label in zip(grey, digits.target, strict=True)
        )
        parts = normalize.splits("digits", raw, 8, 200)
        found = Counter(
            (image.tobytes(), label)
            for part in parts.values()
            for image, label in zip(part["images"], part["labels"], strict=True)
        )
        assert found == published

    def test_split_is_stratified(self, raw: Path) -> None:
        labels = {k: v["labels"] for k, v in normalize.splits("digits", raw, 8, 200).items()}
        counts = np.bincount(np.concatenate(list(labels.values())))
        expected = counts * 500 / 1797
        assert np.abs(np.bincount(labels["test"]) - expected).max() < 1

    def test_validation_is_the_tail_of_the_training_split(self, raw: Path) -> None:
        few, many = (normalize.splits("digits", raw, 8, count) for count in (10, 300))
        assert (len(few["validation"]["labels"]), len(many["validation"]["labels"])) == (10, 300)
        for key in ("images", "labels"):
            whole = np.concatenate([many["train"][key], many["validation"][key]])
            assert (whole == np.concatenate([few["train"][key], few["validation"][key]])).all()
            assert (many["validation"][key][-10:] == few["validation"][key]).all()
            assert (many["test"][key] == few["test"][key]).all()

    @pytest.mark.parametrize("side", [8, 28, 32])
    def test_come_in_the_size_asked_for(self, raw: Path, side: int) -> None:
        parts = normalize.splits("digits", raw, side, 200)
        for part in parts.values():
            assert part["images"].shape[1:] == (1, side, side)
            assert part["images"].dtype == np.uint8

    def test_resized_are_still_the_same_pictures(self, raw: Path) -> None:
        """Bicubic enlarging keeps what each quarter of a picture holds."""
        small, large = (
            normalize.splits("digits", raw, side, 200)["test"]["images"][:, 0].astype(float)
            for side in (8, 28)
        )
        quarters = [
            picture.reshape(-1, 2, picture.shape[1] // 2, 2, picture.shape[1] // 2).mean((2, 4))
            for picture in (small, large)
        ]
        assert np.abs(quarters[0] - quarters[1]).max() < 12  # grey levels

    def test_damaged_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / normalize.DIGITS).write_bytes(b"damaged")
        with pytest.raises(GanvasError, match=normalize.DIGITS):
            normalize.splits("digits", tmp_path, 28, 200)


class TestIdx:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "file.gz"

    @pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 28, 28), (0, 28, 28)])
    def test_reads_bytes_of_any_shape(self, file: Path, shape: tuple[int, ...]) -> None:
        array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        file.write_bytes(gzip.compress(idx(array)))
        found = normalize.read_idx(file)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, array, strict=True)

    def refusal(self, file: Path) -> str:
        with pytest.raises(GanvasError) as caught:
            normalize.read_idx(file)
        line = str(caught.value)
        assert line.startswith(f"{file}: ") and "\n" not in line
        assert line.endswith("delete it, dvc repro again")
        return line

    @pytest.mark.parametrize("missing", [1, 8, 100])
    def test_truncated(self, file: Path, missing: int) -> None:
        file.write_bytes(gzip.compress(idx(images(3)))[:-missing])
        assert "cannot be read" in self.refusal(file)

    @pytest.mark.parametrize("content", [b"no gzip", b"", b"\x1f\x8b", idx(np.arange(9))])
    def test_not_gzip(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        self.refusal(file)

    @pytest.mark.parametrize("magic", [b"\0\0\x09\x01", b"\0\1\x08\x01", b"PNG!", b"\0\0\x0d\x01"])
    def test_of_another_kind(self, file: Path, magic: bytes) -> None:
        file.write_bytes(gzip.compress(magic + struct.pack(">I", 2) + b"\0" * 16))
        assert "not an IDX file of bytes" in self.refusal(file)

    def test_missing(self, file: Path) -> None:
        assert "No such file" in self.refusal(file)

    @pytest.mark.parametrize("place", [10, 11, 500, -6])
    def test_one_byte_changed(self, file: Path, place: int) -> None:
        content = bytearray(gzip.compress(idx(images(3))))
        content[place] ^= 0xFF
        file.write_bytes(bytes(content))
        self.refusal(file)

    @pytest.mark.parametrize(
        "content",
        [
            b"\0\0\x08",  # ends before the number of dimensions
            b"\0\0\x08\x03\0\0",  # ends before the sizes
            idx(images(2))[:-1],
            idx(images(2)) + b"\0",
        ],
    )
    def test_length_is_not_what_its_header_says(self, file: Path, content: bytes) -> None:
        file.write_bytes(gzip.compress(content))
        self.refusal(file)


class TestPublishedAsIdx:
    """MNIST's layout, with few images."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        few = SOURCES["mnist"]._replace(train_images=6, test_images=3)
        monkeypatch.setitem(SOURCES, "mnist", few)
        for part, count in (("train", 6), ("t10k", 3)):
            self.write(tmp_path / f"{part}-images-idx3-ubyte.gz", images(count))
            self.write(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(count))
        return tmp_path

    def write(self, path: Path, array: np.ndarray) -> None:
        path.write_bytes(gzip.compress(idx(array)))

    def test_is_split_in_its_own_order(self, folder: Path) -> None:
        parts = normalize.splits("mnist", folder, 28, 2)
        found = {split: part["labels"].tolist() for split, part in parts.items()}
        assert found == {"train": [0, 1, 2, 3], "validation": [4, 5], "test": [0, 1, 2]}
        assert (parts["validation"]["images"][:, 0] == images(6)[4:]).all()
        assert {part["labels"].dtype for part in parts.values()} == {np.dtype(np.int64)}

    def test_number_of_images_is_not_the_published_one(self, folder: Path) -> None:
        self.write(folder / "train-images-idx3-ubyte.gz", images(5))
        with pytest.raises(GanvasError, match="not those published"):
            normalize.splits("mnist", folder, 28, 2)

    def test_number_of_labels_is_not_the_published_one(self, folder: Path) -> None:
        self.write(folder / "t10k-labels-idx1-ubyte.gz", np.arange(2))
        with pytest.raises(GanvasError, match="not those published"):
            normalize.splits("mnist", folder, 28, 2)


PUBLISHED = {  # the first labels, and how many images each class has
    "mnist": {
        "train": ([5, 0, 4, 1, 9, 2, 1, 3, 1, 4],),
        "test": (
            [7, 2, 1, 0, 4, 1, 4, 9, 5, 9],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
        "both": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    },
    "fashion_mnist": {
        "train": ([9, 0, 0, 3, 0, 2, 7, 2, 5, 5],),
        "test": ([9, 2, 1, 1, 6, 1, 4, 6, 5, 7], [1000] * 10),
        "both": [6000] * 10,
    },
}


@pytest.mark.parametrize("dataset", PUBLISHED)
class TestPublished:
    @pytest.fixture
    def folder(self, mirror: Path, dataset: str) -> Path:
        if not (mirror / dataset).is_dir():
            pytest.skip(f"NOT TESTED: {mirror} has no {dataset}")
        return mirror / dataset

    def test_files_are_those_that_torchvision_knows(self, folder: Path, dataset: str) -> None:
        name = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[dataset]
        known = dict(getattr(torchvision.datasets, name).resources)
        assert set(known) == set(SOURCES[dataset].files)
        for file, md5 in known.items():
            assert hashlib.md5((folder / file).read_bytes()).hexdigest() == md5

    def test_splits(self, folder: Path, dataset: str, tmp_path: Path) -> None:
        parts = normalize.splits(dataset, folder, 28, 5000)
        for split, count in zip(SPLITS, (55_000, 5_000, 10_000), strict=True):
            assert parts[split]["images"].shape == (count, 1, 28, 28)
            assert parts[split]["images"].dtype == np.uint8
            assert parts[split]["labels"].shape == (count,)
            assert parts[split]["labels"].dtype == np.int64
        expected = PUBLISHED[dataset]
        for split in ("train", "test"):
            assert parts[split]["labels"][:10].tolist() == expected[split][0]
        assert np.bincount(parts["test"]["labels"]).tolist() == expected["test"][1]
        both = np.concatenate([parts[split]["labels"] for split in ("train", "validation")])
        assert np.bincount(both).tolist() == expected["both"]
        # Pixels against an independent reading: headers have 16 bytes.
        with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
            published = file.read()[16:]
        whole = np.concatenate([parts[split]["images"] for split in ("train", "validation")])
        assert hashlib.md5(whole).digest() == hashlib.md5(published).digest()


class TestOnDisk:
    def test_what_is_written_is_what_is_loaded(self, tmp_path: Path) -> None:
        tensors = {"images": torch.tensor(images(3))[:, None], "labels": torch.arange(3)}
        files.write_tensors(tmp_path / "train.safetensors", tensors)
        loaded = datasets.load(tmp_path, "train")
        assert torch.equal(loaded.images, tensors["images"])
        assert torch.equal(loaded.labels, tensors["labels"])

    @pytest.mark.parametrize("count", [0, 1, 300])
    @pytest.mark.parametrize("labelled", [False, True])
    def test_is_what_safetensors_writes(self, tmp_path: Path, count: int, labelled: bool) -> None:
        colour = np.random.default_rng(0).integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
        arrays = {"images": colour.transpose(0, 3, 1, 2)}  # not as they lie in memory
        arrays |= (
            {"labels": np.arange(count), "a": np.arange(count, dtype=np.uint8)} if labelled else {}
        )
        normalize.write(tmp_path / "train.safetensors", arrays)
        expected = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        assert (tmp_path / "train.safetensors").read_bytes() == expected

    @pytest.mark.parametrize("content", [None, b"", b"damaged"])
    def test_file_that_is_none_is_named(self, tmp_path: Path, content: bytes | None) -> None:
        if content is not None:
            (tmp_path / "train.safetensors").write_bytes(content)
        with pytest.raises(GanvasError) as caught:
            datasets.load(tmp_path, "train")
        assert str(caught.value).startswith(os.fspath(tmp_path / "train.safetensors"))
        assert "\n" not in str(caught.value)

    def test_tensors_of_another_kind_are_refused(self, tmp_path: Path) -> None:
        files.write_tensors(tmp_path / "train.safetensors", {"weight": torch.zeros(3)})
        with pytest.raises(GanvasError, match="cannot be read"):
            datasets.load(tmp_path, "train")
