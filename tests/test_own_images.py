"""A person's own images through the real `dvc repro`: a folder, three lines of params.yaml."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from repositories import commit, copy, edit, make, ran, run
from safetensors.numpy import load_file

SIDE, EACH = 40, 150  # pixels of a picture, pictures of a class
CLASSES = ("discs", "squares")
DATA_STAGES = {f"{stage}@shapes" for stage in ("normalize", "classifier", "reference")}
MODEL_STAGES = {f"{stage}@shapes-dcgan" for stage in ("train", "select", "sample", "evaluate")}


def draw(name: str, random: np.random.Generator) -> Image.Image:
    """A coloured shape somewhere on a coloured ground."""
    ground, colour = random.integers(0, 256, (2, 3), dtype=np.uint8)
    down, across = np.mgrid[:SIDE, :SIDE] - random.integers(12, SIDE - 12, (2, 1, 1))
    inside = np.maximum(abs(down), abs(across)) < 9
    if name == "discs":
        inside = down**2 + across**2 < 100
    return Image.fromarray(np.where(inside[..., None], colour, ground).astype(np.uint8))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("own") / "shapes", np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for index in range(EACH):
            draw(name, random).save(folder / name / f"{index:03}.png")
    return folder


def begin(folder: Path, pictures: Path, **settings: object) -> None:
    """A repository that trains dcgan on them, all else as a person writes it."""
    tiny = {"epochs": 2, "checkpoint_every": 1, "batch_size": 16}
    own = {
        "folder": str(pictures),
        "channels": 3,
        "image_size": 32,
        "test_share": 0.3,
        "validation_share": 0.25,
    }
    make(
        folder,
        matrix__datasets=["shapes"],
        matrix__models=["dcgan"],
        datasets__shapes=own | {"models": {"dcgan": tiny}} | settings,
        models__dcgan__generator_widths=[16, 8, 8],
        models__dcgan__discriminator_widths=[8, 8, 16],
        train__log_every=2,
        train__pictures=[4],
        select__images=100,
        evaluate__images=100,
        classifier__epochs=8,
        classifier__batch_size=16,
        tracking__enabled=False,
    )


@pytest.fixture(scope="module")
def shapes(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made and committed, with the pictures in a folder beside it."""
    folder = tmp_path_factory.mktemp("shapes") / "repository"
    folder.mkdir()
    own = Path(shutil.copytree(pictures, folder.parent / "pictures"))
    begin(folder, own)
    done = run(folder, "dvc", "repro")
    assert "300 of 300 images read" in done.stdout
    commit(folder, "made")
    return folder


@pytest.fixture
def made(shapes: Path, tmp_path: Path) -> Path:
    """A copy, whose pictures a test may change."""
    folder = copy(shapes, tmp_path / "repository")
    own = Path(shutil.copytree(shapes.parent / "pictures", tmp_path / "pictures"))
    edit(folder, datasets__shapes__folder=str(own))
    run(folder, "dvc", "repro")
    return folder


def test_everything_follows_in_colour_and_size(shapes: Path) -> None:
    train = load_file(shapes / "data/normalized/shapes/train.safetensors")
    assert train["images"].shape[1:] == (3, 32, 32)
    assert json.loads((shapes / "data/normalized/shapes/classes.json").read_text()) == [*CLASSES]
    images = np.load(shapes / "samples/shapes/dcgan/images.npy")
    assert images.shape == (100, 32, 32, 3)
    with Image.open(shapes / "samples/shapes/dcgan/grid.png") as grid:
        assert grid.mode == "RGB"
    scores = json.loads((shapes / "results/shapes/dcgan/metrics.json").read_text())
    assert scores["classifier"].keys() >= {"fid", "precision", "recall", "inception_score"}
    assert len(scores["classifier"]["histogram"]) == 2
    floor = json.loads((shapes / "results/shapes/floor.json").read_text())
    assert floor["classifier"]["fid"] < scores["classifier"]["fid"]
    page = (shapes / "reports/shapes/index.html").read_text()
    assert "discs" in page and "squares" in page
    section = page.partition('<section id="images">')[2].partition("</section>")[0]
    assert "300 of 300" in section and "PNG 300" in section and "40×40" in section
    assert "scores against so few are uncertain" in page


def test_the_same_again_does_nothing(shapes: Path) -> None:
    assert ran(run(shapes, "dvc", "repro")) == set()


def test_a_change_in_the_folder_is_seen(made: Path) -> None:
    own = made.parent / "pictures"
    changes: dict[str, Callable[[], object]] = {
        "added": lambda: shutil.copy(own / "discs/000.png", own / "discs/new.png"),
        "removed": lambda: (own / "squares/007.png").unlink(),
        "edited": lambda: Image.new("RGB", (50, 50), "red").save(own / "squares/003.png"),
    }
    for change in changes.values():
        change()
        assert "data/places/shapes" in run(made, "dvc", "status", "normalize@shapes").stdout
        assert ran(run(made, "dvc", "repro", "normalize@shapes")) == {"normalize@shapes"}


def test_a_file_that_is_no_image_makes_nothing_anew_behind_normalize(made: Path) -> None:
    (made.parent / "pictures" / "notes.txt").write_text("mine")
    assert ran(run(made, "dvc", "repro")) <= {"normalize@shapes", "report@shapes"}


def test_a_folder_that_dvc_tracks(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    begin(folder, Path("pictures"))
    shutil.copytree(pictures, folder / "pictures")
    run(folder, "dvc", "add", "-q", "pictures")
    run(folder, "dvc", "repro", "normalize@shapes")
    assert run(folder, "dvc", "status", "normalize@shapes").stdout.count("up to date") == 1
    random = np.random.default_rng(1)
    draw("discs", random).save(folder / "pictures/discs/new.png")
    run(folder, "dvc", "add", "-q", "pictures")
    assert ran(run(folder, "dvc", "repro", "normalize@shapes")) == {"normalize@shapes"}


def test_nothing_of_theirs_is_copied_but_what_is_trained_on(shapes: Path) -> None:
    """The cache holds the arrays, not the pictures."""
    some = (shapes.parent / "pictures/discs/000.png").read_bytes()
    cached = [path for path in (shapes / ".dvc/cache").rglob("*") if path.is_file()]
    assert cached and all(path.read_bytes() != some for path in cached)


def test_too_many_broken_ones_stop_it_and_some_do_not(pictures: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(pictures, tmp_path / "pictures"))
    for index in range(5):
        (own / f"discs/broken{index}.png").write_bytes(b"no picture")
    folder = tmp_path / "repository"
    folder.mkdir()
    begin(folder, own)
    done = run(folder, "dvc", "repro", "normalize@shapes", check=False)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "5 of 305 images cannot be read, more than 1.0%" in line
    edit(folder, datasets__shapes__unreadable_share=0.05)
    done = run(folder, "dvc", "repro", "normalize@shapes")
    assert "warning: 5 images cannot be read and are left out" in done.stdout


def test_without_classes_nothing_of_classes_is_made_up(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    begin(folder, pictures, classes=False)
    run(folder, "dvc", "repro")
    assert "labels" not in load_file(folder / "data/normalized/shapes/train.safetensors")
    assert json.loads((folder / "data/normalized/shapes/classes.json").read_text()) == []
    scores = json.loads((folder / "results/shapes/dcgan/metrics.json").read_text())
    assert scores.keys() == {"images", "contrastive", "pixels"}
    assert scores["contrastive"].keys() == {
        *("fid", "fid_std", "fid_infinity", "kid", "kid_std"),
        *("precision", "recall", "density", "coverage"),
    }
    assert json.loads((folder / "results/shapes/classifier.json").read_text()).keys() == {
        "test_images",
        "train_images",
    }
    card = (folder / "reports/shapes/dcgan/card.md").read_text()
    assert "asks for a `class` is refused" in card
    # By hand, where a network of other images lies: it goes.
    weights = folder / "models/shapes/classifier"
    (weights / "classifier.safetensors").write_bytes(b"of images that had classes")
    run(folder, "python", "-m", "stages.classifier", "--dataset", "shapes")
    assert [path.name for path in weights.iterdir()] == ["contrastive.safetensors"]
    # What was asked for by name and is not there is one line.
    edit(folder, datasets__shapes__extractors=["classifier"])
    done = run(folder, "dvc", "repro", "reference@shapes", check=False)
    assert done.returncode != 0
    assert "error: datasets.shapes.extractors: 'classifier', but its own is 'contrastive'" in (
        done.stderr
    )
