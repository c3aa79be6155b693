"""`import ganvas` in a notebook: the guide's lines, the pipeline's bytes, errors in one line."""

import io
import json
import re
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from repositories import ROOT, edit, run

import ganvas
from ganvas import config, parts, pictures, progress
from ganvas.data import download
from ganvas.drawing import sampling
from ganvas.notebook import models
from ganvas.notebook.models import Model
from ganvas.training import checkpoints, overfitting
from ganvas.training import run as training
from ganvas.workflow import generators

# Quick to train, on any images.
SMALL: dict[str, Any] = {
    "generator_widths": [8],
    "discriminator_widths": [8],
    "discriminator_dropout": 0.3,
    "batch_size": 16,
    "latent_dim": 4,
}
CLASSES = 3
# What a fresh process runs: lines of a notebook, where neither DVC nor MLflow can be imported.
CELLS = """
import sys
sys.modules |= dict.fromkeys(("dvc", "mlflow", "tensorboard"))
exec(sys.argv[1])
assert model._repr_png_().startswith(b"\\x89PNG")
"""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and an empty cache beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (120, 1, 8, 8), np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(120) % CLASSES


def small(images: Any, labels: Any = None, recipe: str = "gan", **changes: Any) -> Model:
    return ganvas.train(recipe, images, labels, **(SMALL | {"epochs": 2} | changes))


def lines(block: int) -> list[str]:
    """The Python of one of the blocks in the guide's section."""
    section = (ROOT / "docs/guide.md").read_text().partition("\n## From a notebook\n")[2]
    code = [line[4:] for line in section.partition("\n## ")[0].splitlines() if line[:4] == "    "]
    second = next(place for place, line in enumerate(code) if "images, labels" in line)
    return (code[:second], code[second:])[block]


def test_the_lines_of_the_guide_train_draw_and_score(nowhere: Path) -> None:
    cells = lines(0)
    assert cells[0] == "import ganvas" and len(cells) < 10
    quick, shortened = re.subn(r"epochs=\d+", "epochs=1", "\n".join(cells))
    assert shortened == 2
    done = run(nowhere, sys.executable, "-c", CELLS, quick, PYTHONPATH=str(ROOT))
    assert re.match(r"measure +value +floor\nfid +[\d.e+]+ +[\d.e+]+\n", done.stdout)
    assert list(nowhere.iterdir()) == []


def test_the_lines_of_the_guide_on_images_of_ones_own(nowhere: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (128, 1, 28, 28), np.uint8)
    cells = {"ganvas": ganvas, "images": images, "labels": np.arange(128) % 4}
    quick, shortened = re.subn(r"\b10\b", "1", "\n".join(lines(1)))
    assert shortened == 2
    exec(quick, cells)
    model = cells["model"]
    assert isinstance(model, Model) and model.recipe.ema_decay == 0.999
    assert len(model.history["generator_loss"]) == 2 * 2
    generator, _ = generators.load("mine")
    assert np.array_equal(sampling.images(generator, 20, 0), model.draw(20))


def test_an_import_waits_for_no_pytorch_and_names_what_there_is(nowhere: Path) -> None:
    program = "import sys, ganvas; print('torch' in sys.modules, *dir(ganvas)); ganvas.other"
    done = run(nowhere, sys.executable, "-c", program, check=False, PYTHONPATH=str(ROOT))
    assert done.stdout.startswith("False ")
    assert {"GanvasError", "Scorer", "dataset", "recipe", "train"} <= set(done.stdout.split())
    assert "module 'ganvas' has no attribute 'other'" in done.stderr


@pytest.mark.usefixtures("one_thread")
def test_training_and_scores_are_those_of_the_pipeline(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(original)
    params = config.load()
    digits = ganvas.dataset("digits")
    model = ganvas.train("dcgan", *digits.train, dataset="digits")
    path = original / "models/digits/dcgan/generator/epoch-0002.safetensors"
    theirs = checkpoints.load(
        path, checkpoints.architecture(path.with_name(checkpoints.ARCHITECTURE))
    )
    for name, value in model.engine.method.networks["generator"].state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name
    images = model.draw(params.evaluate.images)
    assert np.array_equal(images, np.load(original / "samples/digits/dcgan/images.npy"))

    with warnings.catch_warnings(action="ignore"):  # two epochs make no good classifier
        scorer = ganvas.Scorer(digits.train, digits.test, **params.datasets["digits"].classifier)
    results = original / "results/digits"
    found = scorer.score(images)
    for path, ours in (("dcgan/metrics.json", found), ("floor.json", scorer.floor)):
        theirs = json.loads((results / path).read_text())
        theirs = theirs["classifier"] | theirs["pixels"]
        assert theirs.keys() == ours.keys()
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=1e-6), name
    assert found.floor == {name: scorer.floor[name] for name in found}
    accuracy = json.loads((results / "classifier.json").read_text())["test_accuracy"]
    assert scorer.accuracy == pytest.approx(accuracy)


class TestTraining:
    def test_gives_the_same_bytes_again_and_others_by_another_seed(
        self, images: np.ndarray
    ) -> None:
        first, second, other = small(images), small(torch.from_numpy(images)), small(images, seed=1)
        assert np.array_equal(first.draw(20), second.draw(20))
        for name, values in first.history.items():
            assert np.array_equal(values, second.history[name]) and len(values) == 2 * (120 // 16)
        assert not np.array_equal(first.draw(20), other.draw(20))
        assert not np.array_equal(first.draw(20), first.draw(20, seed=1))
        assert np.array_equal(first.draw(20)[:7], first.draw(7))

    def test_takes_grey_and_colour_in_any_layout(self, images: np.ndarray) -> None:
        grey = small(images).draw(20)
        for same in (images[:, 0], np.moveaxis(images, 1, -1)):
            assert np.array_equal(small(same).draw(20), grey)
        colour = np.concatenate([images, images // 2, 255 - images], axis=1)
        drawn = small(colour).draw(20)
        assert drawn.shape == (20, 8, 8, 3)
        assert np.array_equal(small(np.moveaxis(colour, 1, -1)).draw(20), drawn)

    def test_goes_on_as_one_training(self, images: np.ndarray) -> None:
        whole, halves = small(images, epochs=2), small(images, epochs=1).train(1)
        assert np.array_equal(whole.draw(20), halves.draw(20))
        for name, values in whole.history.items():
            assert np.array_equal(values, halves.history[name])

    def test_keeps_its_own_copy_of_the_images(self, images: np.ndarray) -> None:
        whole, halves = small(images, epochs=2), small(images, epochs=1)
        images[:] = 7
        assert np.array_equal(whole.draw(20), halves.train(1).draw(20))

    def test_takes_changes_by_name_and_recipes(self, images: np.ndarray) -> None:
        recipe = ganvas.recipe("gan", "digits", **SMALL, epochs=1, ema_decay=0.5)
        assert (
            recipe.lr_generator
            == config.load(ROOT / "params.yaml").recipe("digits", "gan").lr_generator
        )
        model = ganvas.train(recipe, images, epochs=2)
        assert model.recipe == recipe.model_copy(update={"epochs": 2})
        assert len(model.history["generator_loss"]) == 2 * (120 // 16)
        assert set(model.engine.averages) == {"generator"}

    def test_reads_params_of_the_folder_before_those_beside_the_package(
        self, nowhere: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert ganvas.recipe("gan") == config.load(ROOT / "params.yaml").models["gan"]
        shutil.copy(ROOT / "params.yaml", nowhere)
        edit(nowhere, models__gan__epochs=3)
        assert ganvas.recipe("gan").epochs == 3
        (nowhere / "params.yaml").unlink()
        monkeypatch.setattr(parts, "PACKAGE", nowhere / "ganvas")
        with pytest.raises(ganvas.GanvasError, match=r"^params\.yaml: neither .* pip install -e$"):
            small(images)

    def test_shows_how_the_discriminator_fares_with_held_out_images(
        self, images: np.ndarray, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(models, "LONGEST", 10)
        train, held_out = (images[:80], labels[:80]), (images[80:], labels[80:])
        alone = small(*train, "cgan", epochs=5)  # of five iterations
        names = ("iteration", *overfitting.OUTPUTS)
        assert {key: len(values) for key, values in alone.outputs.items()} == dict.fromkeys(
            names, 0
        )
        model = small(*train, "cgan", epochs=5, validation=held_out)
        assert model.outputs["iteration"].tolist() == [10, 20]
        assert np.array_equal(alone.draw(9), model.draw(9))
        shorter = small(*train, "cgan", epochs=4, validation=held_out)
        tensors = (
            {"images": torch.tensor(of_images), "labels": torch.tensor(of_labels)}
            for of_images, of_labels in (train, held_out)
        )
        outputs = overfitting.Probe(shorter.engine, *tensors).measure()
        assert [model.outputs[name][-1] for name in overfitting.OUTPUTS] == outputs
        few = small(*train, "cgan", epochs=2, validation=(images[80:82], [1, 2]))
        assert len(few.outputs["train_logit"]) == 1
        monkeypatch.setattr(overfitting, "share", lambda outputs: 0.75)
        with pytest.warns(UserWarning, match=r"by heart.* 75 %"):
            model.train(1)

    def test_leaves_the_switches_of_pytorch_as_they_were(self, images: np.ndarray) -> None:
        torch.set_deterministic_debug_mode("warn")
        torch.backends.cudnn.benchmark = True
        try:
            small(images).picture()
            assert torch.get_deterministic_debug_mode() == 1
            assert torch.backends.cudnn.benchmark
        finally:
            torch.set_deterministic_debug_mode("default")
            torch.backends.cudnn.benchmark = False

    def test_shows_a_bar_in_a_notebook(
        self,
        images: np.ndarray,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        small(images)
        assert capsys.readouterr().err == ""
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
        small(images)
        assert re.search(r"gan: +100%.*\| 14/14 .*generator_loss=", capsys.readouterr().err)

    def test_says_that_the_discriminator_has_won(
        self, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(training, "WON_LOSS", 1e9)
        monkeypatch.setattr(training, "WON_ITERATIONS", 5)
        with pytest.warns(UserWarning, match="^gan: the discriminator has won.* iteration 5;"):
            small(images)


class TestInterrupt:
    def test_ends_the_training_with_what_there_is(
        self,
        images: np.ndarray,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        whole = small(images)
        handler = signal.getsignal(signal.SIGINT)
        with monkeypatch.context() as patched:
            patched.setattr(progress.Progress, "at", self.press(1))
            model = small(images)
        assert len(model.history["generator_loss"]) == 1
        assert capsys.readouterr().err == (
            "gan: stopped at iteration 1 of 14; its method train goes on\n"
        )
        assert signal.getsignal(signal.SIGINT) is handler
        model.train(2)
        assert all(
            np.array_equal(model.history[name][:14], values)
            for name, values in whole.history.items()
        )

    def test_a_second_time_is_one(
        self, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handler = signal.getsignal(signal.SIGINT)
        monkeypatch.setattr(progress.Progress, "at", self.press(2))
        with pytest.raises(KeyboardInterrupt):
            small(images)
        assert signal.getsignal(signal.SIGINT) is handler

    def test_is_not_waited_for_beside_the_main_thread(self, images: np.ndarray) -> None:
        found: list[Model] = []
        thread = threading.Thread(target=lambda: found.append(small(images)))
        thread.start()
        thread.join()
        assert len(found[0].history["generator_loss"]) == 14

    @staticmethod
    def press(times: int) -> Callable[..., None]:
        def at(self: progress.Progress, done: int, **shown: float) -> None:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

        return at


class TestModel:
    def test_that_is_told_classes_draws_them(self, images: np.ndarray, labels: np.ndarray) -> None:
        model = small(images, labels, "cgan")
        assert model.draw(5, label=2).shape == (5, 8, 8)
        asked = model.labels(50)
        assert asked is not None and set(asked.tolist()) == set(range(CLASSES))
        # One of the images that are drawn of all classes is among those of its own.
        assert np.array_equal(model.draw(50)[9], model.draw(50, label=int(asked[9]))[9])
        rows = [model.draw(10, label=label) for label in range(CLASSES)]
        assert model.picture() == pictures.grid(np.concatenate(rows), 10)

    def test_that_is_told_none_takes_labels_and_leaves_them_alone(
        self, images: np.ndarray, labels: np.ndarray
    ) -> None:
        model = small(images, labels)
        assert model.labels(5) is None
        assert np.array_equal(model.draw(5), small(images).draw(5))
        assert model.picture() == pictures.grid(model.draw(100), 10)

    def test_is_a_picture_and_a_line(self, images: np.ndarray) -> None:
        model = small(images)
        with Image.open(io.BytesIO(model._repr_png_() or b"")) as shown:
            assert np.array_equal(np.asarray(shown), np.asarray(model.picture()))
        assert repr(model).startswith("<ganvas.Model gan after 2 epochs: discriminator_loss 0.")

    def test_is_saved_as_what_the_program_draws_from(
        self, nowhere: Path, images: np.ndarray
    ) -> None:
        model = small(images)
        model.save(nowhere / "mine")
        generator, about = generators.load("mine")
        assert np.array_equal(sampling.images(generator, 20, 0), model.draw(20))
        assert "mine/generator/epoch-0002.safetensors" in about


@pytest.fixture(scope="module")
def scorer() -> ganvas.Scorer:
    random = np.random.default_rng(0)
    classes = np.arange(400) % CLASSES
    # Each class has its own half of the image.
    pixels = random.integers(0, 100, (400, 1, 16, 16), np.uint8)
    pixels[classes == 0, :, 8:] += 100
    pixels[classes == 1, :, :8] += 100
    train, test = (pixels[:200], classes[:200]), (pixels[200:], classes[200:])
    return ganvas.Scorer(train, test, epochs=6, batch_size=32)


class TestScores:
    def test_are_a_table_of_numbers_beside_their_floors(self, scorer: ganvas.Scorer) -> None:
        found = scorer.score(scorer._test.images)
        assert scorer.accuracy > 0.9
        assert found["fid"] == pytest.approx(0, abs=1e-4) and found.floor["fid"] > 0
        assert "class_accuracy" not in found
        head, first, *_ = repr(found).splitlines()
        assert head.split() == ["measure", "value", "floor"] and first.startswith("fid ")
        assert "histogram" not in repr(found) and len(found["histogram"]) == 3

    def test_know_what_was_asked_for(self, scorer: ganvas.Scorer) -> None:
        images, labels = scorer._test
        assert scorer.score(images, labels)["class_accuracy"] == scorer.accuracy
        wrong = scorer.score(images, (labels + 1) % CLASSES)
        assert wrong["class_accuracy"] < 0.1 and wrong["class_fid"] > 1

    def test_of_a_classifier_that_knows_little_are_warned_of(self, images: np.ndarray) -> None:
        labels = np.arange(120) % 10
        with pytest.warns(UserWarning, match="reads .* % of the test images right, less than"):
            ganvas.Scorer((images, labels), (images, labels), epochs=1)

    @pytest.mark.parametrize(
        ("images", "labels", "words"),
        [
            (np.zeros((99, 16, 16), np.uint8), None, "images: 99 images; give at least 100"),
            (
                np.full((100, 8, 8), 9, np.uint8),
                None,
                r"images: shape \(8, 8\), the real ones are \(16, 16\); score",
            ),
            (
                np.full((100, 16, 16), 9, np.uint8),
                np.zeros(99, int),
                r"labels: int64 \(99,\); give",
            ),
        ],
    )
    def test_of_what_cannot_be_scored_is_a_line(
        self, scorer: ganvas.Scorer, images: np.ndarray, labels: Any, words: str
    ) -> None:
        with pytest.raises(ganvas.GanvasError, match=f"^{words}"):
            scorer.score(images, labels)

    @pytest.mark.parametrize(
        ("train", "test", "words"),
        [
            (lambda i, n: i, lambda i, n: (i, n), "train: a ndarray; give images and their labels"),
            (lambda i, n: (i, n), lambda i, n: (i, n + 8), "test: labels up to 10, those of train"),
            (lambda i, n: (i, n), lambda i, n: (i[:50], n[:50]), "test: images: 50 images; give"),
            (
                lambda i, n: (i, n),
                lambda i, n: (np.repeat(np.repeat(i, 2, 2), 2, 3), n),
                r"test: images \(1, 16, 16\), those of train are \(1, 8, 8\)",
            ),
        ],
    )
    def test_on_what_is_no_scale_are_refused(
        self, images: np.ndarray, labels: np.ndarray, train: Any, test: Any, words: str
    ) -> None:
        with pytest.raises(ganvas.GanvasError, match=f"^{words}"):
            ganvas.Scorer(train(images, labels), test(images, labels))


def test_data_sets_are_fetched_once_and_split(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(download.MIRROR, str(mirror))
    mnist = ganvas.dataset("mnist")
    assert [len(split.labels) for split in mnist] == [55_000, 5_000, 10_000]
    assert mnist.test.images.shape == (10_000, 1, 28, 28) and mnist.test.images.dtype == torch.uint8
    monkeypatch.setenv(download.MIRROR, "/nowhere")
    assert torch.equal(ganvas.dataset("mnist").train.labels, mnist.train.labels)


ERRORS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], object], str]] = {
    "floats": (lambda i, n: small(i / 255), "images: float64 from 0 to 1; give uint8 from 0"),
    "cut": (lambda i, n: small(i // 255), "images: no values but 0 and 1, as of floats cut"),
    "colour": (
        lambda i, n: small(i.repeat(2, 1)),
        r"images: shape \(120, 2, 8, 8\); give square images, grey, \(N, 1, H, W\)",
    ),
    "oblong": (lambda i, n: small(i[..., :7]), r"images: shape \(120, 1, 8, 7\); give square"),
    "held out": (
        lambda i, n: small(i, validation=np.full((9, 16, 16), 9, np.uint8)),
        r"validation images: \(1, 16, 16\), where the others are \(1, 8, 8\)",
    ),
    "held out, without classes": (
        lambda i, n: small(i, n, "cgan", validation=i),
        r"validation labels: cgan is told classes; give the class of each image, integers \(120,",
    ),
    "small": (lambda i, n: small(i[..., :7, :7]), "images: 7 pixels a side; give at least 8"),
    "none": (lambda i, n: small(i[:0]), "images: 0 images; give at least 1"),
    "few": (lambda i, n: small(i[:15]), "batch_size: 16 is more than the 15 training images"),
    "split": (lambda i, n: small((i, n)), "images: not all of one shape; give a tensor or an"),
    "words": (lambda i, n: small("digits"), r"images: shape \(\); give square images, grey"),
    "size": (
        lambda i, n: ganvas.train("dcgan_dense", np.pad(i, ((0, 0), (0, 0), (1, 1), (1, 1)))),
        "dcgan_dense: image_size: 10 is not allowed; a multiple of 4 is",
    ),
    "unlabelled": (lambda i, n: small(i, recipe="cgan"), "labels: cgan is told classes; give the"),
    "fewer labels": (
        lambda i, n: small(i, n[1:], "cgan"),
        r"labels: int64 \(119,\); give the class of each image, integers \(120,\) from 0",
    ),
    "float labels": (lambda i, n: small(i, n / 1, "cgan"), r"labels: float64 \(120,\); give"),
    "from 1000": (lambda i, n: small(i, n + 1000, "cgan"), "labels: from 1000 to 1002; number the"),
    "negative": (lambda i, n: small(i, n - 1, "cgan"), "labels: from -1 to 1; number the"),
    "recipe": (lambda i, n: small(i, recipe="dcgn"), "unknown model 'dcgn'; did you mean 'dcgan'"),
    "key": (lambda i, n: small(i, epoch=3), "gan: unknown key 'epoch'; did you mean 'epochs'"),
    "value": (lambda i, n: small(i, ema_decay=2.0), r"gan\.ema_decay: 2\.0 is not allowed"),
    "epochs": (lambda i, n: small(i, epochs=0), r"gan\.epochs: 0 is not allowed"),
    "no recipe": (lambda i, n: ganvas.train({}, i), "recipe: dict with dataset=None is not"),
    "both": (
        lambda i, n: ganvas.train(ganvas.recipe("gan"), i, dataset="digits"),
        "recipe: Recipe with dataset='digits' is not allowed",
    ),
    "settings": (lambda i, n: small(i, dataset="digit"), "unknown data set 'digit'; did you mean"),
    "seed": (lambda i, n: small(i, seed=-1), "seed: -1 is not allowed; a whole number from 0"),
    "device": (lambda i, n: small(i, device="gpu"), "device: 'gpu' is not allowed; allowed: auto"),
    "count": (lambda i, n: small(i).draw(0), "count: 0 is not allowed; a whole number from 1"),
    "drawing seed": (lambda i, n: small(i).draw(1, seed=0.5), r"seed: 0\.5 is not allowed"),
    "class": (lambda i, n: small(i).draw(1, label=1), "class 1: this generator is told no classes"),
    "no class": (
        lambda i, n: small(i, n, "cgan").draw(1, label=3),
        "class 3: not there; allowed: 0, 1, 2",
    ),
    "more": (lambda i, n: small(i).train(0), "epochs: 0 is not allowed; a whole number from 1"),
    "data": (
        lambda i, n: ganvas.dataset("mnits"),
        "unknown data set 'mnits'; did you mean 'mnist'",
    ),
    "diverges": (
        lambda i, n: small(
            i,
            objective="wasserstein",
            optimizer="sgd",
            momentum=0.9,
            lr_generator=1.0,
            lr_discriminator=1.0,
            epochs=99,
        ),
        r"iteration \d+: .* not finite \(losses: .*\); lower lr_generator and lr_discriminator",
    ),
}


@pytest.mark.parametrize(("call", "words"), ERRORS.values(), ids=ERRORS)
def test_what_cannot_be_is_said_in_a_line(
    images: np.ndarray, labels: np.ndarray, call: Callable[..., object], words: str
) -> None:
    with pytest.raises(ganvas.GanvasError, match=f"^{words}") as raised:
        call(images, labels)
    assert len(str(raised.value).splitlines()) == 1
