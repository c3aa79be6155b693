"""`ganvas score`, the real command: other systems' images on our scale."""

import contextlib
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest
import torch
from PIL import Image
from repositories import run

from ganvas.cli import score as command
from ganvas.data import datasets, images
from ganvas.reporting import scoreboard
from ganvas.workflow import instances, scoring

ROOT = Path(__file__).parents[1]
GOOD = np.random.default_rng(0).integers(0, 256, (120, 28, 28), dtype=np.uint8)

pytestmark = pytest.mark.usefixtures("one_thread")


def score(
    folder: Path, images: Path, dataset: str = "digits", *options: str
) -> subprocess.CompletedProcess[str]:
    typed = ("python", "-m", "ganvas", "score", str(images), "--dataset", dataset, *options)
    # Byte code is no file of the command's.
    return run(folder, *typed, check=False, PYTHONDONTWRITEBYTECODE="1")


def said(folder: Path, images: Path, **options: Any) -> str:
    """What the command prints, run in this process."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        command.score(images, "digits", **options)
    return printed.getvalue()


def scores(folder: Path, images: Path, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(folder, images, as_json=True, **options))
    return found


def pngs(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir(parents=True)
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
    done = score(repository, Path("samples/digits/gan/images.npy"), "digits", "--json")
    assert done.returncode == 0, done.stderr
    assert status() == before, "the command writes nothing"
    found: dict[str, Any] = json.loads(done.stdout)  # nothing else is printed there
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
        assert "resized_from" not in of_npy

    @pytest.mark.parametrize("kind", ["npz", "folder", "sub-folders", "0,1", "-1,1"])
    def test_are_the_same_however_the_images_are_kept(
        self,
        kind: str,
        repository: Path,
        generated: np.ndarray,
        of_npy: dict[str, Any],
        tmp_path: Path,
    ) -> None:
        path, span = tmp_path / "images", None
        if kind == "npz":
            path = tmp_path / "images.npz"
            np.savez_compressed(path, generated[..., None], np.arange(200))
        elif kind == "folder":
            pngs(path, generated)
        elif kind == "sub-folders":
            pngs(path / "0", generated[:70])
            pngs(path / "1", generated[70:])
        else:
            path, span = tmp_path / "images.pt", kind
            floats = torch.from_numpy(generated)[:, None].float() / 255
            torch.save(floats if kind == "0,1" else (floats * 2 - 1).expand(-1, 3, -1, -1), path)
        assert scores(repository, path, span=span) == of_npy

    def test_of_another_size_are_those_of_the_resized_images_and_say_so(
        self, repository: Path, generated: np.ndarray, of_npy: dict[str, Any], tmp_path: Path
    ) -> None:
        large = np.asarray(
            [Image.fromarray(image).resize((64, 64)) for image in generated], dtype=np.uint8
        )
        np.save(tmp_path / "large.npy", large)
        np.save(tmp_path / "small.npy", images.resized(large, 28))
        found = scores(repository, tmp_path / "large.npy", resize=True)
        assert found.pop("resized_from") == 64
        assert found == scores(repository, tmp_path / "small.npy", resize=True)
        assert found["classifier"] != of_npy["classifier"]
        table = said(repository, tmp_path / "large.npy", resize=True)
        assert table.splitlines()[1] == "resized from 64 × 64 pixels: bicubic, antialiased"

    def test_are_a_table_for_people_each_beside_its_floor(
        self, repository: Path, generated: np.ndarray, of_npy: dict[str, Any], tmp_path: Path
    ) -> None:
        torch.save(torch.from_numpy(generated) / 127.5 - 1, tmp_path / "images.pt")
        done = score(repository, tmp_path / "images.pt", "digits", "--range", "-1,1")
        first, *lines = done.stdout.splitlines()
        assert first == (f"{tmp_path / 'images.pt'}: 200 images against 500 test images of digits")
        rows = {line[:24].strip(): line[24:].strip() for line in lines}
        fids = (of_npy["classifier"], of_npy["floor"]["classifier"])
        shown = [[scoreboard.number(fid[name]) for name in ("fid", "fid_std")] for fid in fids]
        value, floor, better = re.split(r"\s{2,}", rows["Fréchet distance (FID)"])
        assert value.startswith(f"{shown[0][0]} ± ") and floor.startswith(f"{shown[1][0]} ± ")
        assert better == "lower is better"
        classes = f"{of_npy['classifier']['modes_covered']:.0f}"
        assert re.split(r"\s{2,}", rows["Classes made"]) == [classes, "10", "higher is better"]
        titles = {key: measure.title for key, measure in scoreboard.MEASURES.items()}
        missing = {key for key, title in titles.items() if title not in rows}
        asked = {"class_accuracy", "class_fid"}  # of images asked to be of a class, or translated
        asked |= {"domain_accuracy", "class_kept", "l1", "psnr", "ssim", "cycle_l1"}
        assert missing == asked

    def test_of_training_images_are_the_floor(self, repository: Path, tmp_path: Path) -> None:
        train = datasets.load(repository / "data/normalized/digits", "train").images.numpy()
        np.save(tmp_path / "images.npy", train[:200])
        found = scores(repository, tmp_path / "images.npy")
        floor = found["floor"]["classifier"]
        # The chart of classes shows the test images' shares.
        assert floor.pop("histogram") != found["classifier"].pop("histogram")
        for key in ("class_accuracy", "class_fid", "class_fids"):  # of known classes: not these
            assert floor.pop(key)
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

    def test_by_a_classifier_that_does_not_know_the_data_come_with_a_warning(
        self, repository: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        generated = Path("samples/digits/gan/images.npy")
        known = repository / "results/digits/classifier.json"
        written = known.read_text()
        try:
            known.write_text(json.dumps({"test_accuracy": 0.1}))
            found = scores(repository, generated)
            warning = capsys.readouterr().err
            known.write_text(json.dumps({"test_accuracy": 0.998}))
            good = scores(repository, generated)
            assert capsys.readouterr().err == ""
        finally:
            known.write_text(written)
        (line,) = found.pop("warnings")
        assert line.startswith(
            "the classifier reads 10.00 % of the test images right, less than 80"
        )
        assert warning == f"warning: {line}\n"
        assert found == good


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
            (GOOD[:, :20, :20], "images of 20 pixels a side, the real ones have 28; cut off"),
            (np.stack([GOOD, GOOD, 255 - GOOD], axis=-1), "in colour"),
            (GOOD[:99], "99 images; give at least 100"),
        ],
    )
    def test_in_an_array(self, array: np.ndarray, said: str, tmp_path: Path) -> None:
        np.save(tmp_path / "images.npy", array)
        line = self.refusal(tmp_path / "images.npy")
        assert f"{tmp_path / 'images.npy'}: {said}" in line

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert f"{tmp_path}: no image in this folder" in self.refusal(tmp_path)

    def test_a_tensor_that_is_code(self, tmp_path: Path) -> None:
        torch.save(torch.nn.Linear(2, 2), tmp_path / "images.pt")
        line = self.refusal(tmp_path / "images.pt")
        assert f"{tmp_path / 'images.pt'}: damaged, or holds code, which is never run" in line

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


def test_copies_that_were_mirrored_are_found_where_training_images_were(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    data = instances.data_set("digits")
    copies = datasets.load(data.normalized, "train").pixels()[:200, :, ::-1].copy()
    found = [
        scoring.score(copies, data, mirrored=mirrored)["pixels"]["memorisation"]
        for mirrored in (False, True)
    ]
    assert found[0] < 0.9 and found[1] == 1
