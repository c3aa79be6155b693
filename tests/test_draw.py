"""`ganvas draw`: from each kind of generator, into each kind of file."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import recipes
import torch
from PIL import Image
from repositories import run

from ganvas import networks
from ganvas.cli import main
from ganvas.drawing import export, sampling, walks
from ganvas.networks import Generator
from ganvas.tracking import registry
from ganvas.training import checkpoints
from ganvas.workflow import paths

LATENT = 16
ARCHITECTURE = recipes.architecture("gan", latent_dim=LATENT)
Draw = Callable[..., str]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder with two checkpoints, in a repository's root; the process is there."""
    monkeypatch.chdir(tmp_path)
    folder = Path("models/digits/gan")
    for epoch in (9_999, 10_000):  # by name, the second comes first
        generator, _ = networks.build(ARCHITECTURE, seed=epoch)
        facts = checkpoints.Facts(epoch, epoch, 1.0)
        path = folder / "generator" / f"epoch-{epoch:04}.safetensors"
        checkpoints.save(path, generator, None, facts)
    path.with_name("architecture.json").write_text(json.dumps(ARCHITECTURE._asdict()))
    return folder


def select(model: Path, checkpoint: str) -> None:
    path = Path("results/digits/gan/selection.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"checkpoint": checkpoint}))


def expected(epoch: int, count: int, seed: int) -> np.ndarray:
    """What the checkpoint of that epoch draws."""
    generator, _ = networks.build(ARCHITECTURE, seed=epoch)
    return sampling.images(generator.eval(), count, seed)


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Draw:
    """The command, in this process; what it says, on standard error alone."""

    # Not the repository in which the tests were started, which may have a store.
    monkeypatch.setattr(paths, "ROOT", Path.cwd())

    def call(*typed: object, code: int | str | None = None) -> str:
        monkeypatch.setattr(sys, "argv", ["ganvas", "draw", *map(str, typed)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        shown = capsys.readouterr()
        assert shown.out == ""
        # Python prints a text that ends a program, and exits with 1.
        said = shown.err + (ended.value.code if isinstance(ended.value.code, str) else "")
        assert len(said.splitlines()) == 1
        found = 1 if isinstance(ended.value.code, str) else ended.value.code
        assert found == code, said
        return said.strip()

    return call


class TestWhat:
    def test_is_a_models_selected_checkpoint_else_its_last(self, model: Path, draw: Draw) -> None:
        said = draw(model, "--count", 5, "--out", "images.npy")
        assert "epoch-10000.safetensors, the last of 2 checkpoints, none is selected" in said
        assert (np.load("images.npy") == expected(10_000, 5, 0)).all()
        select(model, "epoch-9999.safetensors")
        said = draw(model, "--count", 5, "--out", "images.npy")
        assert "epoch-9999.safetensors, the selected checkpoint" in said
        assert (np.load("images.npy") == expected(9_999, 5, 0)).all()
        select(model, "epoch-0001.safetensors")  # of an earlier training
        assert "none is selected" in draw(model, "--out", "images.npy")

    def test_is_found_from_elsewhere(
        self, model: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        select(model, "epoch-9999.safetensors")
        monkeypatch.chdir(model.parent)
        assert "epoch-9999.safetensors, the sel" in draw("../digits/gan", "--out", "images.npy")
        monkeypatch.chdir("gan")
        assert "epoch-9999.safetensors, the sel" in draw(".", "--out", "images.npy")

    def test_is_a_checkpoint(self, model: Path, draw: Draw) -> None:
        draw(model / "generator/epoch-9999.safetensors", "--out", "images.npy")
        assert (np.load("images.npy") == expected(9_999, 64, 0)).all()

    @pytest.mark.parametrize(
        ("what", "said"),
        [
            ("nowhere", "nowhere: no such file or folder; give a model's folder"),
            ("models", "models: holds no generator's checkpoints; give a model's folder"),
            ("models/digits", "name one of its models: models/digits/gan"),
            ("models/digits/gan/generator/architecture.json", "no checkpoint, which ends"),
            ("models:/ganvas-digits@best", "no mlflow.db in "),
            ("models:/ganvas-digits", "give models:/NAME@ALIAS or models:/NAME/VERSION"),
        ],
    )
    def test_is_nothing_to_draw_from(self, model: Path, draw: Draw, what: str, said: str) -> None:
        line = draw(what, "--out", "images.npy", code=1)
        assert line.startswith("error: ") and said in line
        assert not Path("images.npy").exists()

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            (None, "architecture.json: missing; it says which network the checkpoints beside it"),
            ("{", "not what a training of this version writes; `dvc checkout` or `dvc repro`"),
            ('{"network": "gan"}', "not what a training of this version writes"),
            ({"network": "gam"}, "network 'gam' is not known here; known: dcgan, dcgan_dense, gan"),
            (
                {"network": "dcgan"},
                "safetensors: these weights do not fit dcgan with latent_dim 16",
            ),
            ({"latent_dim": 17}, "these weights do not fit gan with latent_dim 17"),
        ],
    )
    def test_is_of_no_network_that_its_architecture_names(
        self, model: Path, draw: Draw, config: str | dict[str, object] | None, said: str
    ) -> None:
        path = model / "generator/architecture.json"
        if isinstance(config, dict):
            config = json.dumps(json.loads(path.read_text()) | config)
        if config is None:
            path.unlink()
        else:
            path.write_text(config)
        assert said in draw(model, "--out", "images.npy", code=1)

    def test_is_a_damaged_file(self, model: Path, draw: Draw) -> None:
        path = model / "generator/epoch-10000.safetensors"
        path.write_bytes(path.read_bytes()[:1000])
        line = draw(path, "--out", "images.npy", code=1)
        assert line.startswith(f"error: {path}: no weights can be read")

    def test_was_registered_by_an_earlier_version(
        self, model: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = Path("fetched")
        folder.mkdir()
        (folder / registry.FACTS).write_text('{"network": "gan", "latent_dim": 100}')
        monkeypatch.setattr(registry, "download", lambda *_: ("3", folder))
        line = draw("models:/ganvas-digits@best", "--out", "images.npy", code=1)
        assert line.startswith("error: models:/ganvas-digits@best: version 3 was registered by")
        assert str(folder) not in line

    def test_is_a_model_of_the_pipeline_or_of_mlflow(
        self, repository: Path, tmp_path: Path
    ) -> None:
        """The images that the pipeline drew, with the seed that it drew them with."""
        command = ("python", "-m", "ganvas", "draw")
        rest = ("--count", "150", "--seed", "0", "--out")
        drawn = {}
        for model in ("gan", "dcgan"):
            out = str(tmp_path / f"{model}.npy")
            said = run(repository, *command, f"models/digits/{model}", *rest, out).stderr
            assert said.endswith(", the selected checkpoint\n")
            drawn[model] = np.load(out)
            samples = np.load(repository / f"samples/digits/{model}/images.npy")
            assert (drawn[model] == samples[:150]).all()
        fids = {
            model: json.loads((repository / f"results/digits/{model}/metrics.json").read_text())
            for model in drawn
        }
        best = min(fids, key=lambda model: float(fids[model]["classifier"]["fid"]))
        out = str(tmp_path / "best.npy")
        done = run(repository, *command, "models:/ganvas-digits@best", *rest, out)
        said = f"{out}: 150 images by models:/ganvas-digits@best, version "
        assert done.stderr.startswith(said)
        version = done.stderr.strip().removeprefix(said)
        assert (np.load(out) == drawn[best]).all()
        run(repository, *command, f"models:/ganvas-digits/{version}", *rest, f"{out}.npy")
        assert (np.load(f"{out}.npy") == drawn[best]).all()
        for uri in ("models:/ganvas-digits@worst", "models:/ganvas-digits/9", "models:/other/1"):
            done = run(repository, *command, uri, *rest, out, check=False)
            assert done.returncode == 1
            assert done.stderr.startswith(
                f"error: {uri}: not in the registry, which has ganvas-digits; "
            )
            assert len(done.stderr.splitlines()) == 1


class TestSeed:
    def test_is_that_of_the_images_and_count_only_how_many(self, model: Path, draw: Draw) -> None:
        draw(model, "--count", 3, "--seed", 7, "--out", "few.npy")
        draw(model, "--count", 700, "--seed", 7, "--out", "many.npy")
        few, many = np.load("few.npy"), np.load("many.npy")
        assert many.shape == (700, 28, 28) and many.dtype == np.uint8
        assert (few == many[:3]).all() and (many == expected(10_000, 700, 7)).all()
        draw(model, "--count", 3, "--seed", 8, "--out", "others.npy")
        assert (np.load("others.npy") != few).any()

    def test_gives_the_same_bytes_in_every_form(self, model: Path, draw: Draw) -> None:
        for name in ("grid.png", "images.npy", "images.gif", "walk.gif"):
            walk = ["--interpolate"] if name == "walk.gif" else []
            draw(model, "--count", 6, "--out", name, *walk)
            first = Path(name).read_bytes()
            draw(model, "--count", 6, "--out", name, *walk)
            assert Path(name).read_bytes() == first


class TestOut:
    def test_png_is_a_grid_of_the_images_in_their_order(self, model: Path, draw: Draw) -> None:
        images = expected(10_000, 7, 0)
        draw(model, "--count", 7, "--out", "grid.png")
        with Image.open("grid.png") as grid:
            assert grid.mode == "L"
            assert grid.size == ((3 * 30 + 2) * 2, (3 * 30 + 2) * 2)
            pixels = np.asarray(grid)[::2, ::2]
        for index, image in enumerate(images):
            top, left = 2 + index // 3 * 30, 2 + index % 3 * 30
            assert (pixels[top : top + 28, left : left + 28] == image).all()

    @pytest.mark.parametrize("name", ["folder", "folder.of/pngs", "there.npy"])
    def test_folder_holds_an_image_per_file(self, model: Path, draw: Draw, name: str) -> None:
        if name == "there.npy":  # a folder already, whatever it is called
            Path(name).mkdir()
        draw(model, "--count", 12, "--out", name)
        files = sorted(Path(name).iterdir())
        assert [path.name for path in files] == [f"{number:05}.png" for number in range(12)]
        assert (
            np.stack([np.asarray(Image.open(f)) for f in files]) == expected(10_000, 12, 0)
        ).all()

    def test_folder_never_mixes_images_of_two_generators(self, model: Path, draw: Draw) -> None:
        draw(model, "--count", 12, "--out", "pngs")
        draw(model, "--count", 12, "--seed", 1, "--out", "pngs")  # all of them replaced
        assert (np.asarray(Image.open("pngs/00000.png")) == expected(10_000, 1, 1)[0]).all()
        line = draw(model, "--count", 10, "--out", "pngs", code=1)
        assert line.endswith(
            "pngs: holds 00010.png and 1 more beside these images; empty it or name another folder"
        )

    def test_gif_shows_one_image_after_the_other(self, model: Path, draw: Draw) -> None:
        images = expected(10_000, 5, 0)
        draw(model, "--count", 5, "--out", "images.gif")
        shown, durations = frames(Path("images.gif"))
        assert (shown[:, ::4, ::4] == images).all() and durations[:-1] == [500] * 4

    @pytest.mark.parametrize("name", ["grid.jpg", "images.npz", "grid.png.zip", "v1.2"])
    def test_of_another_kind_is_refused_before_anything_is_drawn(
        self, model: Path, draw: Draw, name: str
    ) -> None:
        line = draw("nowhere", "--out", name, code=1)
        assert line.startswith(f"error: {name}: {Path(name).suffix} is not allowed; allowed: ")
        assert all(ending in line for ending in (".png", ".gif", ".npy", "no ending"))

    def test_that_cannot_be_written_is_one_line(self, model: Path, draw: Draw) -> None:
        Path("file").write_text("")
        for name in ("file/grid.png", "file/images.npy", "file", "file/pngs"):
            line = draw(model, "--out", name, code=1)
            assert line.startswith("error: file") and "cannot be written" in line


class TestColour:
    """A generator of colour images of 64 pixels, in every form."""

    @pytest.fixture
    def checkpoint(self, model: Path) -> Path:
        architecture = ARCHITECTURE._replace(channels=3, image_size=64)
        generator, _ = networks.build(architecture, seed=3)
        path = model.parent / "colour/generator/epoch-0001.safetensors"
        checkpoints.save(path, generator, None, checkpoints.Facts(1, 1, 1.0))
        path.with_name("architecture.json").write_text(json.dumps(architecture._asdict()))
        return path

    def test_is_drawn_in_colour(self, checkpoint: Path, draw: Draw) -> None:
        draw(checkpoint, "--count", 4, "--out", "images.npy")
        images = np.load("images.npy")
        assert images.shape == (4, 64, 64, 3) and images.dtype == np.uint8
        draw(checkpoint, "--count", 4, "--out", "pngs")
        for number, image in enumerate(images):
            with Image.open(f"pngs/{number:05}.png") as found:
                assert found.mode == "RGB" and (np.asarray(found) == image).all()
        draw(checkpoint, "--count", 4, "--out", "grid.png")
        with Image.open("grid.png") as grid:
            assert grid.mode == "RGB" and grid.size == (2 * 66 + 2,) * 2  # not enlarged
            assert (np.asarray(grid)[68:132, 2:66] == images[2]).all()

    def test_is_animated_in_colour(self, checkpoint: Path, draw: Draw) -> None:
        draw(checkpoint, "--count", 2, "--out", "images.npy")
        draw(checkpoint, "--count", 2, "--out", "images.gif")
        with Image.open("images.gif") as animation:
            assert animation.n_frames == 2 and animation.size == (128, 128)
            for number, image in enumerate(np.load("images.npy")):
                animation.seek(number)
                shown = np.asarray(animation.convert("RGB"))[::2, ::2].astype(int)
                # Noise, as of a network that is not trained, has more than 256 colours.
                assert np.abs(shown - image).mean() < 8

    def test_walks_in_colour(self, checkpoint: Path, draw: Draw) -> None:
        draw(checkpoint, "--interpolate", "--count", 32, "--out", "walk.png")
        with Image.open("walk.png") as grid:
            assert grid.mode == "RGB" and grid.size == (16 * 66 + 2, 2 * 66 + 2)


class TestWalk:
    @pytest.mark.parametrize(
        ("count", "steps", "stops"), [(60, 15, 4), (61, 16, 4), (10, 16, 2), (64, 1, 64)]
    )
    def test_goes_in_small_steps_and_back_to_its_start(
        self, count: int, steps: int, stops: int
    ) -> None:
        z = walked(count, steps)
        assert len(z) == count
        way = (torch.roll(z, -1, 0) - z).norm(dim=1)
        # Two points are half a turn apart at most.
        assert way.min() > 0 and way.max() < np.pi * z.norm(dim=1).max() * stops / count

    def test_goes_through_its_points_and_not_through_the_middle(self) -> None:
        z = walked(60, 15)
        assert torch.allclose(z[::15], walked(8, 2)[::2])  # the same points, in larger steps
        # A straight line between points at right angles has 0.71 of their norm half way.
        lengths = z.norm(dim=1)
        assert lengths.min() > 0.9 * lengths[::15].min()

    def test_of_one_image_is_its_first_point(self) -> None:
        assert torch.allclose(walked(1, 16), walked(8, 4)[:1])

    def test_is_one_of_its_seed(self) -> None:
        assert torch.equal(walked(8, 4), walked(8, 4))
        assert not torch.allclose(walked(8, 4), walked(8, 4, seed=4))

    def test_is_animated_back_to_its_first_image(self, model: Path, draw: Draw) -> None:
        draw(model, "--interpolate", "--count", 48, "--out", "walk.gif")
        draw(model, "--interpolate", "--count", 48, "--out", "walk.npy")
        shown, durations = frames(Path("walk.gif"))
        walk = np.load("walk.npy")
        assert (shown[:-1, ::4, ::4] == walk).all() and (shown[-1] == shown[0]).all()
        assert durations == [60] * 48 + [180]
        steps = np.abs(np.diff(shown.astype(float), axis=0)).mean((1, 2))
        images = expected(10_000, 48, 0).astype(float)
        assert steps.max() < np.abs(np.diff(images, axis=0)).mean((1, 2)).min()

    def test_has_a_row_for_each_point_in_a_grid(self, model: Path, draw: Draw) -> None:
        draw(model, "--interpolate", "--count", 48, "--out", "walk.png")
        draw(model, "--interpolate", "--count", 48, "--out", "walk.npy")
        with Image.open("walk.png") as grid:
            assert grid.size == ((16 * 30 + 2) * 2, (3 * 30 + 2) * 2)
            pixels = np.asarray(grid)[::2, ::2]
        assert (pixels[32:60, 2:30] == np.load("walk.npy")[16]).all()


def walked(count: int, steps: int, seed: int = 3) -> torch.Tensor:
    """The latent points of a walk, (count, LATENT)."""
    recorder = recipes.Recorder(latent_dim=LATENT)
    images = walks.walk(recorder, count, seed, steps=steps)
    assert images.shape == (count, 1, 1)
    return recorder.z


def frames(path: Path) -> tuple[np.ndarray, list[int]]:
    """An animation's images uint8 (N, H, W), and how long each is shown, in ms."""
    shown, durations = [], []
    with Image.open(path) as animation:
        for index in range(animation.n_frames):  # type: ignore[attr-defined]
            animation.seek(index)
            shown.append(np.asarray(animation.convert("L")))
            durations.append(animation.info["duration"])
    return np.stack(shown), durations


class TestClasses:
    """By a generator that is told classes."""

    COUNTS = (300, 0, 100)

    @pytest.fixture
    def told(self, model: Path) -> Generator:
        """What now lies in the model's folder."""
        architecture = recipes.architecture("cgan", latent_dim=LATENT, class_counts=self.COUNTS)
        generator, _ = networks.build(architecture, seed=3)
        facts = checkpoints.Facts(10_000, 10_000, 1.0)
        path = model / "generator/epoch-10000.safetensors"
        checkpoints.save(path, generator, None, facts)
        path.with_name("architecture.json").write_text(json.dumps(architecture._asdict()))
        return generator.eval()

    def test_one_is_drawn_where_it_is_asked_for(
        self, model: Path, draw: Draw, told: Generator
    ) -> None:
        said = draw(model, "--class", 2, "--count", 5, "--out", "images.npy")
        assert said.startswith("images.npy: 5 images of class 2 by models/digits/gan/")
        of_class = torch.full((5,), 2)
        assert (np.load("images.npy") == sampling.images(told, 5, 0, of_class)).all()

    def test_have_a_row_each_in_a_grid(self, model: Path, draw: Draw, told: Generator) -> None:
        said = draw(model, "--count", 10, "--out", "grid.png")
        assert said.startswith("grid.png: 10 images, a row a class, by models/digits/gan/")
        with Image.open("grid.png") as grid:  # of class 1 it has seen none
            assert grid.size == ((5 * 30 + 2) * 2, (2 * 30 + 2) * 2)
            pixels = np.asarray(grid)[::2, ::2]
        expected = sampling.of_each_class(told, 5, 0)
        assert (pixels[32:60, 32:60] == expected[6]).all()

    def test_are_as_frequent_as_in_training_in_any_other_file(
        self, model: Path, draw: Draw, told: Generator
    ) -> None:
        draw(model, "--count", 700, "--out", "images.npy")
        assert (np.load("images.npy") == sampling.images(told, 700, 0)).all()

    def test_stay_along_a_walk(self, model: Path, draw: Draw, told: Generator) -> None:
        draw(model, "--interpolate", "--class", 2, "--count", 20, "--out", "walk.npy")
        assert (np.load("walk.npy") == walks.walk(told, 20, 0, wanted=2)).all()
        draw(model, "--interpolate", "--count", 20, "--out", "walk.npy")
        assert (np.load("walk.npy") == walks.walk(told, 20, 0)).all()
        assert (walks.walk(told, 20, 0) != walks.walk(told, 20, 0, wanted=2)).any()

    @pytest.mark.parametrize(
        ("wanted", "why"), [(3, "not there"), (99, "not there"), (1, "no training image was of it")]
    )
    def test_that_are_not_there_are_refused(
        self, model: Path, draw: Draw, told: Generator, wanted: int, why: str
    ) -> None:
        line = draw(model, "--class", wanted, "--out", "grid.png", code=1)
        assert line == f"error: class {wanted}: {why}; allowed: 0, 2"
        assert not Path("grid.png").exists()

    def test_are_refused_by_a_generator_that_is_told_none(self, model: Path, draw: Draw) -> None:
        line = draw(model, "--class", 0, "--out", "grid.png", code=1)
        assert line.startswith("error: class 0: this generator is told no classes; name a model")


def test_every_ending_is_written(tmp_path: Path) -> None:
    images = np.zeros((2, 28, 28), np.uint8)
    for ending in export.ENDINGS:
        path = tmp_path / f"images{ending}"
        export.write(path, images)
        assert path.exists() and export.ending(path) == ending
    assert export.ending(tmp_path / "IMAGES.PNG") == ".png"
