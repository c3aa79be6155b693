"""`ganvas score`, the real command: other systems' images on our scale."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest
from PIL import Image
from repositories import run

from ganvas.data import datasets

ROOT = Path(__file__).parents[1]
GOOD = np.random.default_rng(0).integers(0, 256, (120, 28, 28), dtype=np.uint8)


def score(folder: Path, images: Path, dataset: str = "digits") -> subprocess.CompletedProcess[str]:
    command = ("python", "-m", "ganvas", "score", str(images), "--dataset", dataset)
    # Byte code is no file of the command's.
    return run(folder, *command, check=False, PYTHONDONTWRITEBYTECODE="1")


def scores(folder: Path, images: Path) -> dict[str, Any]:
    done = score(folder, images)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)  # nothing else is printed there
    return found


def pngs(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:05}.png")
    return folder


@pytest.fixture(scope="module")
def generated(repository: Path) -> np.ndarray:
    images: np.ndarray = np.load(repository / "samples/digits/gan/images.npy")
    return images


@pytest.fixture(scope="module")
def of_npy(repository: Path) -> dict[str, Any]:
    """Scores of the pipeline's own samples, given as a file."""

    def status() -> str:
        return run(repository, "git", "status", "--porcelain", "--ignored").stdout

    before = status()
    found = scores(repository, Path("samples/digits/gan/images.npy"))
    assert status() == before, "the command writes nothing"
    return found


class TestScores:
    def test_are_those_of_the_pipeline_for_the_same_images(
        self, repository: Path, of_npy: dict[str, Any]
    ) -> None:
        results = repository / "results/digits"
        metrics = json.loads((results / "gan/metrics.json").read_text())
        assert {name: of_npy[name] for name in metrics} == metrics
        floor = json.loads((results / "floor.json").read_text())
        assert of_npy["floor"] == {name: floor[name] for name in ("classifier", "pixels", "images")}

    def test_say_what_they_were_computed_from(
        self, repository: Path, of_npy: dict[str, Any]
    ) -> None:
        weights = repository / "models/digits/classifier/classifier.safetensors"
        assert (of_npy["images"], of_npy["reference"]) == (200, "test")
        assert of_npy["reference_images"] == 500
        assert of_npy["extractors"] == {"classifier": pooch.file_hash(weights)}

    def test_are_the_same_from_an_npz_and_from_pngs(
        self, repository: Path, generated: np.ndarray, of_npy: dict[str, Any], tmp_path: Path
    ) -> None:
        np.savez_compressed(tmp_path / "images.npz", generated[..., None])
        assert scores(repository, tmp_path / "images.npz") == of_npy
        assert scores(repository, pngs(tmp_path / "images", generated)) == of_npy

    def test_of_training_images_are_the_floor(self, repository: Path, tmp_path: Path) -> None:
        train = datasets.load(repository / "data/normalized/digits", "train").images.numpy()
        np.save(tmp_path / "images.npy", train[:200])
        found = scores(repository, tmp_path / "images.npy")
        floor = found["floor"]["classifier"]
        # The chart of classes shows the test images' shares.
        assert floor.pop("histogram") != found["classifier"].pop("histogram")
        assert found["classifier"] == floor
        assert found["floor"]["images"] == 200
        assert found["pixels"]["memorisation"] == 1, "they are the training images"

    def test_of_one_image_over_and_over_are_finite_and_tell(
        self, repository: Path, generated: np.ndarray, tmp_path: Path
    ) -> None:
        np.save(tmp_path / "images.npy", np.repeat(generated[:1], 150, axis=0))
        found = scores(repository, tmp_path / "images.npy")["classifier"]
        assert np.isfinite([value for name, value in found.items() if name != "histogram"]).all()
        assert found["modes_covered"] == 1 and max(found["histogram"]) == 1
        assert found["inception_score"] == pytest.approx(1)
        assert found["recall"] == 0 and found["fid"] > 0


class TestBadInput:
    """One line on standard error that names the place, and a non-zero exit."""

    def refusal(self, images: Path, dataset: str = "digits") -> str:
        done = score(ROOT, images, dataset)
        assert done.returncode == 1
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        return line

    @pytest.mark.parametrize(
        ("array", "said"),
        [
            (GOOD / 255, "float64 from 0 to 1; give uint8 from 0 to 255"),
            ((GOOD / 255).astype(np.uint8), "no values but 0, 1"),
            (GOOD[:, :20], "shape (120, 20, 28); give (N, 28, 28)"),
            (np.stack([GOOD, GOOD, 255 - GOOD], axis=-1), "in colour"),
            (GOOD[:99], "99 images; give at least 100"),
        ],
    )
    def test_in_an_array(self, array: np.ndarray, said: str, tmp_path: Path) -> None:
        np.save(tmp_path / "images.npy", array)
        line = self.refusal(tmp_path / "images.npy")
        assert f"{tmp_path / 'images.npy'}: {said}" in line

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert f"{tmp_path}: an empty folder" in self.refusal(tmp_path)

    def test_a_file_that_is_no_image(self, tmp_path: Path) -> None:
        folder = pngs(tmp_path / "images", GOOD)
        (folder / "00007.png").write_text("no image")
        assert f"{folder / '00007.png'}: no image can be read" in self.refusal(folder)

    def test_a_data_set_whose_real_images_are_not_there(self, tmp_path: Path) -> None:
        np.save(tmp_path / "images.npy", GOOD)
        for name in ("ganvas", "params.yaml"):
            (tmp_path / name).symlink_to(ROOT / name)
        done = score(tmp_path, tmp_path / "images.npy", "mnist")
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "missing; make it with `dvc repro reference@mnist`" in done.stderr
