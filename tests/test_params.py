"""Stage params: recipes are checked against their networks, and their modules are linked."""

import json
import os
from pathlib import Path

import pytest
from repositories import ROOT, edit, run

from ganvas import parts
from ganvas.errors import GanvasError
from ganvas.workflow import instances, modules, paths, pipeline
from stages import params as stage

LINKS = {
    model: {"network/networks/_blocks.py", f"network/networks/{model}.py"}
    for model in ("gan", "dcgan")
}
# What a recipe overrides to have dcgan's networks.
DCGAN = {
    "network": "dcgan",
    "generator_widths": [8, 8, 8],
    "discriminator_widths": [8, 8, 8],
    "discriminator_norm": "batch",
}
SHARED = {
    "training/training/objectives/non_saturating.py",
    "training/training/optimizers/adam.py",
    "training/training/methods/adversarial.py",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository's root as far as the stage looks at it; the process is there."""
    (tmp_path / "ganvas").symlink_to(ROOT / "ganvas")
    (tmp_path / "stages").symlink_to(ROOT / "stages")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    edit(tmp_path, matrix__models=[*LINKS])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(**values: object) -> None:
    """The stage, with these keys of params.yaml changed."""
    edit(Path(), **values)
    stage.main(instances.data_set("digits").params)


def links(model: str, dataset: str = "digits") -> set[str]:
    """What the folder of links of a model holds."""
    folder = modules.LINKS / dataset / model
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_each_model_of_the_matrix_has_links_to_its_own_modules(folder: Path) -> None:
    check(matrix__datasets=["digits", "mnist"])
    assert sorted(path.name for path in modules.LINKS.iterdir()) == ["digits", "mnist"]
    for dataset in ("digits", "mnist"):
        for model, network in LINKS.items():
            assert links(model, dataset) == network | SHARED


def test_links_are_relative_and_lead_to_the_modules_of_this_repository(folder: Path) -> None:
    check()
    found = list(modules.LINKS.rglob("*.py"))
    assert len(found) == 3 * 2 * 5  # data sets, models, modules
    for path in found:
        assert path.is_symlink() and not path.readlink().is_absolute()
        _, model, group, *inside = path.relative_to(modules.LINKS).parts
        leads_to = Path(os.path.normpath(path.parent / path.readlink()))
        assert leads_to == Path("ganvas", *inside) and leads_to.is_file()
        assert group in modules.LINKED and model in LINKS


def test_links_are_made_again_as_the_recipes_are_now(folder: Path) -> None:
    check()
    stale = modules.LINKS / "digits/gan/network/networks/gone.py"
    stale.symlink_to("nowhere.py")
    (modules.LINKS / "digits/dcgan/network/networks/dcgan.py").unlink()
    changed = {f"models__gan__{key}": value for key, value in DCGAN.items()}
    check(matrix__datasets=["digits"], **changed)
    assert links("gan") == links("dcgan") == LINKS["dcgan"] | SHARED
    assert not (modules.LINKS / "mnist").exists()


def test_links_survive_a_move_of_the_repository(folder: Path) -> None:
    check()
    (folder / "ganvas").unlink()
    moved = folder / "elsewhere"
    moved.mkdir()
    (moved / "ganvas").symlink_to(ROOT / "ganvas")
    (folder / "data").rename(moved / "data")
    path = moved / modules.LINKS / "digits/gan/network/networks/gan.py"
    assert path.read_bytes() == (ROOT / "ganvas/networks/gan.py").read_bytes()


def test_a_network_that_cannot_make_the_images_stops_it_with_one_line(folder: Path) -> None:
    edit(folder, datasets__digits__image_size=30, matrix__models=["dcgan", "dcgan_dense"])
    done = run(folder, "python", "-m", "stages.params", check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: params.yaml: models.dcgan_dense on digits: dcgan_dense: image_size: 30 is not "
        "allowed; a multiple of 4 is\n"
    )
    assert not (folder / pipeline.SETTINGS).exists()


def test_a_recipe_outside_the_matrix_forbids_nothing(folder: Path) -> None:
    check(datasets__digits__image_size=30, matrix__models=["gan", "dcgan"])
    assert links("gan") == LINKS["gan"] | SHARED
    assert (folder / pipeline.SETTINGS).exists()


def test_a_data_set_may_have_a_network_of_its_own_in_a_recipe(folder: Path) -> None:
    check(datasets__digits__models={"gan": DCGAN, "dcgan": {}})
    assert links("gan") == links("dcgan") == LINKS["dcgan"] | SHARED
    assert links("gan", "mnist") == LINKS["gan"] | SHARED


@pytest.mark.parametrize(
    ("kind", "name", "lacks"),
    [
        ("network", "gan", "build"),
        ("objective", "non_saturating", "generator_loss"),
        ("method", "adversarial", "Method"),
        ("optimizer", "adam", "make"),
        ("penalties", "r1", "AT"),
        ("augment", "cutout", "augment"),
    ],
)
def test_a_part_without_what_is_asked_of_it_stops_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, lacks: str
) -> None:
    monkeypatch.delattr(parts.load(kind, name), lacks)
    with pytest.raises(GanvasError) as error:
        check(models__gan__penalties={"r1": 1.0}, models__gan__augment=["cutout"])
    assert str(error.value) == f"{parts.file(kind, name)}: no {lacks}; {kind} needs it"


def test_each_recipe_links_all_that_it_names(folder: Path) -> None:
    everything = list(instances.data_set("mnist").params.generating)
    check(matrix__models=everything, matrix__datasets=["mnist"])
    assert links("wgan_gp", "mnist") == LINKS["dcgan"] | SHARED ^ {
        "training/training/objectives/non_saturating.py",
        "training/training/objectives/wasserstein.py",
        "training/training/penalties/gradient.py",
    }
    assert "training/training/optimizers/sgd.py" in links("gan_2014", "mnist")
    # What a part imports is linked with it.
    assert links("gan_minimax", "mnist") > SHARED


def translations(**models: str) -> dict[str, object]:
    """Of params.yaml's matrix, a model for each data set."""
    return {
        "matrix__translated": [*models],
        "matrix__translations": {
            f"{dataset}-{model}": {"dataset": dataset, "model": model}
            for dataset, model in models.items()
        },
    }


def test_translations_link_networks_and_methods_of_their_own(folder: Path) -> None:
    check(**translations(edges="pix2pix", inverted="cyclegan", dresses="stargan"))
    own = "network/networks/translation"
    found = {
        model: links(model, dataset)
        for dataset, model in (("edges", "pix2pix"), ("dresses", "stargan"))
    }
    judges = "training/networks/translation"  # are in no checkpoint
    assert {f"{own}/unet.py", f"{own}/__init__.py", f"{judges}/patch.py"} <= found["pix2pix"]
    assert {f"{own}/resnet.py", f"{judges}/domains.py"} <= found["stargan"]
    assert f"{own}/unet.py" not in found["stargan"]
    assert "training/training/methods/stargan.py" in found["stargan"]
    assert "training/training/penalties/gradient.py" in found["stargan"]
    # What generates does not hang on it.
    assert not any("translation" in link for link in links("gan"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (translations(dresses="cyclegan"), "models.cyclegan on dresses: method: cyclegan needs im"),
        (translations(edges="stargan"), "models.stargan on edges: method: stargan needs images"),
        (translations(inverted="pix2pix"), "models.pix2pix on inverted: method: pix2pix needs pa"),
        (
            {**translations(edges="pix2pix"), "models__pix2pix__generator": "patch"},
            "models.pix2pix on edges: generator: patch is not allowed; networks/translation/patch",
        ),
    ],
)
def test_a_translation_that_does_not_fit_its_data(
    folder: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(GanvasError) as error:
        check(**changes)
    assert str(error.value).startswith(f"params.yaml: {said}")


def test_pairs_and_domains_of_a_folder_are_checked_before_they_are_read(folder: Path) -> None:
    (folder / "own").mkdir()
    own = {"folder": "own", "channels": 3, "image_size": 256}
    for kind, model in (("pairs", "pix2pix"), ("domains", "cyclegan")):
        check(datasets__own={**own, "kind": kind}, **translations(own=model))
        assert links(model, "own")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"penalty_every": 8},
            "penalty_every: 8, but there are no penalties; set it to 1",
        ),
        (
            {"objective": "hinge", "label_smoothing": 0.1},
            "label_smoothing: 0.1, but hinge has no target to smooth; set it to 0",
        ),
        ({"momentum": 0.5}, "momentum: 0.5 is for sgd, adam has betas; set it to 0.0"),
        (
            {"generator_widths": [8, 4, 2, 1], "network": "dcgan"},
            "generator_widths: [8, 4, 2, 1] is not allowed; network dcgan takes 1 to 3 at 28 "
            "pixels",
        ),
    ],
)
def test_what_cannot_be_together_stops_it(
    folder: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(GanvasError) as error:
        check(**{f"models__gan__{key}": value for key, value in changes.items()})
    assert str(error.value) == f"params.yaml: models.gan on digits: {said}"


def test_a_penalty_beside_batch_norm_is_warned_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(models__dcgan__penalties={"gradient": 10.0}, models__gan__penalties={"r1": 1.0})
    said = set(capsys.readouterr().err.splitlines())  # of each data set
    assert len(said) == 1
    assert said.pop().startswith("warning: params.yaml: models.dcgan: penalties beside BatchNorm")


class TestOwnImages:
    def own(self, folder: str, **more: object) -> None:
        settings = {"folder": folder, "channels": 3, "image_size": 32}
        check(datasets__flowers=settings, matrix__datasets=["flowers"], **more)

    def test_a_link_leads_to_them(
        self, folder: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        place = tmp_path_factory.mktemp("pictures")
        self.own(str(place), matrix__models=["gan"])
        assert Path("data/places/flowers").resolve() == place

    def test_below_the_repository_the_link_survives_a_move(self, folder: Path) -> None:
        (folder / "pictures").mkdir()
        self.own("pictures", matrix__models=["gan"])
        assert Path("data/places/flowers").readlink() == Path("../../pictures")

    def test_an_experiments_copy_finds_them_in_the_repository(
        self,
        folder: Path,
        tmp_path_factory: pytest.TempPathFactory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        real = tmp_path_factory.mktemp("real")
        (real / "pictures").mkdir()
        monkeypatch.setattr(paths, "ROOT", real)
        self.own("pictures", matrix__models=["gan"])
        assert Path("data/places/flowers").resolve() == real / "pictures"

    def test_where_there_are_none_one_line(self, folder: Path) -> None:
        with pytest.raises(GanvasError, match=r"datasets.flowers.folder: nowhere: no such file or"):
            self.own("nowhere")
        assert not Path(pipeline.SETTINGS).exists()

    def test_settings_are_written_with_defaults(self, folder: Path) -> None:
        (folder / "pictures").mkdir()
        self.own("pictures", matrix__models=["gan"])
        settings = json.loads(Path(pipeline.SETTINGS).read_text())
        assert settings["flowers"]["validation_share"] == 0.1
        assert settings["flowers"]["models"]["dcgan"] == {}
        assert settings["mnist"]["models"]["gan"] == {}
        assert settings["digits"]["models"]["gan"]["epochs"] == 240
