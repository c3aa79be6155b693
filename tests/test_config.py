"""params.yaml is valid, and what is wrong in it is named in one line."""

import copy
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from ganvas import config, parts
from ganvas.data import made
from ganvas.data.sources import SOURCES
from ganvas.errors import GanvasError
from ganvas.workflow import pipeline

Refusal = Callable[[str, Any], str]


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set the dotted `key`."""
    *parents, last = key.split(".")
    for parent in parents:
        values = values[parent]
    values[last] = value


def keys(values: Any) -> Iterator[str]:
    """Every key of nested dicts and lists."""
    if isinstance(values, dict):
        yield from values
        values = list(values.values())
    if isinstance(values, list):
        for value in values:
            yield from keys(value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


@pytest.fixture
def edited(file: Path, params: dict[str, Any]) -> Callable[[str, Any], Path]:
    """The committed params.yaml with one more change per call."""

    def edit(key: str, value: Any) -> Path:
        put(params, key, value)
        with file.open("w") as stream:
            YAML().dump(params, stream)
        return file

    return edit


@pytest.fixture
def refusal(edited: Callable[[str, Any], Path]) -> Refusal:
    """The line that a change of one key gives."""

    def refuse(key: str, value: Any) -> str:
        path = edited(key, value)
        with pytest.raises(GanvasError) as caught:
            config.load(path)
        line = str(caught.value)
        assert "\n" not in line
        assert line.startswith(f"{path}: "), "says in which file"
        return line.removeprefix(f"{path}: ")

    return refuse


class TestCommitted:
    def test_is_valid(self, root: Path) -> None:
        config.load(root / "params.yaml")

    def test_shares_no_mapping_between_two_keys(self, root: Path) -> None:
        """`dvc exp run -S` would set both, or the later one back, and so neither."""
        seen: dict[int, str] = {}

        def walk(values: Any, key: str) -> None:
            if isinstance(values, dict):
                assert seen.setdefault(id(values), key) == key
                for name, below in values.items():
                    walk(below, f"{key}.{name}")

        values = YAML(typ="safe", pure=True).load(root / "params.yaml")
        walk(values, "")
        assert len(seen) > 40

    @pytest.mark.parametrize(
        "setting",
        [
            "models.gan.generator_norm=none",
            "models.cgan.discriminator_dropout=0.5",
            "models.wgan_gp.penalties.gradient=5.0",
            "datasets.digits.models.gan.epochs=7",
            "datasets.digits.models.infogan_lucic.batch_size=8",
        ],
    )
    def test_dvc_sets_one_value_alone(self, root: Path, file: Path, setting: str) -> None:
        shutil.copy(root / "params.yaml", file)

        def leaves() -> dict[str, Any]:
            return dict(pipeline.leaves(YAML(typ="safe", pure=True).load(file)))

        key, _, value = setting.partition("=")
        expected = leaves()
        assert expected[key] != YAML(typ="safe").load(value)
        expected[key] = YAML(typ="safe").load(value)
        apply_overrides(file, [setting])
        assert leaves() == expected

    def test_is_the_whole_matrix(self, root: Path) -> None:
        matrix = config.load(root / "params.yaml").matrix
        assert matrix.datasets == ["digits", "mnist", "fashion_mnist"]
        assert matrix.models == ["gan", "dcgan", "best"]

    def test_recipes_are_the_tutorials(self, root: Path) -> None:
        models = config.load(root / "params.yaml").models
        common = {"latent_dim": 100, "batch_size": 64, "discriminator_steps": 1, "ema_decay": 0.0}
        gan = {"epochs": 200, "lr_generator": 1e-4, "lr_discriminator": 2e-4, "betas": [0.9, 0.999]}
        dcgan = {
            "epochs": 20,
            "lr_generator": 2e-4,
            "lr_discriminator": 2e-4,
            "betas": [0.5, 0.999],
        }
        common |= {"label_smoothing": 0, "instance_noise": 0, "augment": [], "penalties": {}}
        common |= {"horizontal_flips": False}
        for name, recipe in {"gan": common | gan, "dcgan": common | dcgan}.items():
            assert recipe.items() <= models[name].model_dump().items()

    def test_mnist_is_trained_with_the_tutorials_recipes_unchanged(self, root: Path) -> None:
        params = config.load(root / "params.yaml")
        for dataset in ("mnist", "fashion_mnist"):
            for model in params.models:
                assert params.recipe(dataset, model) == params.models[model]

    def test_has_no_name_that_dvcs_run_cache_ignores(self, params: dict[str, Any]) -> None:
        found = list(keys(params))
        assert "validation_images" in found, "looks at every depth"
        assert not {"size", "nfiles"} & set(found)


class TestNames:
    def test_no_section_could_hold_a_name_that_dvcs_run_cache_ignores(self) -> None:
        sections = config.Section.__subclasses__()
        assert config.Params in sections
        assert not {"size", "nfiles"} & {name for s in sections for name in s.model_fields}

    @pytest.mark.parametrize("kind", parts.FOLDERS)
    def test_of_parts_are_those_of_modules_that_can_be_loaded(
        self, refusal: Refusal, kind: str
    ) -> None:
        names = parts.names(kind)
        assert names and all(parts.load(kind, name) for name in names)
        wrong: Any = {"penalties": {"zzz": 1.0}, "augment": ["zzz"]}.get(kind, "zzz")
        model = "pix2pix" if kind in ("generator", "discriminator") else "gan"
        assert refusal(f"models.{model}.{kind}", wrong).endswith(f"; allowed: {', '.join(names)}")

    def test_asked_for_on_the_command_line(self, root: Path) -> None:
        params = config.load(root / "params.yaml")
        params.check_names(dataset="mnist", model="gan")
        with pytest.raises(GanvasError, match="unknown data set 'mnits'; did you mean 'mnist'"):
            params.check_names(dataset="mnits")
        with pytest.raises(GanvasError, match="unknown model 'wxyz'; allowed: gan, dcgan"):
            params.check_names(dataset="mnist", model="wxyz")


class TestOverrides:
    """Settings of a data set."""

    def test_change_only_what_they_name(self, edited: Callable[[str, Any], Path]) -> None:
        params = config.load(edited("datasets.digits.models.dcgan", {"epochs": 7}))
        changed = params.recipe("digits", "dcgan").model_dump()
        assert changed == params.models["dcgan"].model_dump() | {"epochs": 7}
        assert params.recipe("mnist", "dcgan").epochs == params.models["dcgan"].epochs != 7

    def test_of_the_classifier(self, edited: Callable[[str, Any], Path]) -> None:
        params = config.load(edited("datasets.digits.classifier", {"lr": 0.5}))
        changed = params.classifier_for("digits").model_dump()
        assert changed == params.classifier.model_dump() | {"lr": 0.5}
        assert params.classifier_for("mnist") == params.classifier

    def test_may_leave_a_model_out(self, edited: Callable[[str, Any], Path]) -> None:
        params = config.load(edited("datasets.digits.models", {}))
        assert params.recipe("digits", "gan") == params.models["gan"]

    def test_are_checked_like_the_section_they_override(self, refusal: Refusal) -> None:
        line = refusal("datasets.digits.models.gan", {"epochs": 0})
        assert "datasets.digits.models.gan.epochs: 0 is not allowed" in line
        assert "greater than or equal to 1" in line


@pytest.mark.parametrize(
    ("key", "section", "likely"),
    [
        ("sede", "the file", "seed"),
        ("train.precison", "train", "precision"),
        ("models.dcgan.epcohs", "models.dcgan", "epochs"),
        ("datasets.digits.validaton_images", "datasets.digits", "validation_images"),
        ("datasets.digits.models.gan.epcohs", "datasets.digits.models.gan", "epochs"),
        ("datasets.digits.classifier.epcohs", "datasets.digits.classifier", "epochs"),
        ("matrix.dataset", "matrix", "datasets"),
        ("tracking.enable", "tracking", "enabled"),
    ],
)
def test_misspelt_key_is_named_with_the_likely_spelling(
    refusal: Refusal, key: str, section: str, likely: str
) -> None:
    misspelt = key.rpartition(".")[2]
    expected = f"{section}: unknown key {misspelt!r}; did you mean {likely!r}?"
    assert refusal(key, 1) == expected


def test_key_like_no_other_is_answered_with_what_is_allowed(refusal: Refusal) -> None:
    line = refusal("sample.zzz", 1)
    assert line == "sample: unknown key 'zzz'; allowed: grid, interpolation"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("models.dcgan.lr_generator", -0.1, "greater than 0"),
        ("models.gan.lr_discriminator", 0, "greater than 0"),
        ("models.gan.lr_generator", 1.5, "less than or equal to 1"),
        ("models.gan.lr_generator", math.nan, "less than or equal to 1"),
        ("classifier.lr", -1, "greater than 0"),
        ("models.gan.epochs", 0, "greater than or equal to 1"),
        ("classifier.epochs", 0, "greater than or equal to 1"),
        ("models.gan.latent_dim", 0, "greater than or equal to 1"),
        ("models.gan.batch_size", 1, "greater than or equal to 2"),
        ("models.gan.discriminator_steps", 0, "greater than or equal to 1"),
        ("models.gan.ema_decay", 1.0, "less than 1"),
        ("models.gan.network", "wgan", "did you mean 'gan'?"),
        ("models.gan.network", "xyz", "allowed: dcgan, dcgan_dense, gan"),
        ("models.gan.network", "_gan", "did you mean 'gan'?"),
        ("models.gan.objective", "non_saturatng", "did you mean 'non_saturating'?"),
        ("models.gan.method", "xyz", "allowed: adversarial"),
        ("models.gan.optimizer", "adm", "did you mean 'adam'?"),
        ("models.gan.classes", "yes", "'none', 'concatenated' or 'auxiliary'"),
        ("models.gan.latent", "cauchy", "'normal' or 'uniform'"),
        ("models.gan.label_smoothing", 0.5, "less than 0.5"),
        ("models.gan.instance_noise", -1, "greater than or equal to 0"),
        ("models.gan.horizontal_flips", 1, "valid boolean"),
        ("models.gan.momentum", 1.0, "less than 1"),
        ("models.gan.generator_norm", "layer", "'batch', 'spectral' or 'none'"),
        ("models.gan.generator_widths", [], "at least 1 item"),
        ("models.gan.discriminator_dropout", 1.0, "less than 1"),
        ("models.wgan_gp.penalties.gradient", 0, "greater than 0"),
        ("train.precision", "float16", "'float32' or 'bfloat16'"),
        ("train.log_every", 0, "greater than or equal to 1"),
        ("seed", -1, "greater than or equal to 0"),
        ("device", "gpu", "'auto', 'cpu', 'cuda' or 'mps'"),
        ("datasets.mnist.image_size", 7, "greater than or equal to 8"),
        ("evaluate.images", 99, "greater than or equal to 100"),
        ("sample.interpolation", 1, "greater than or equal to 2"),
        ("matrix.models", [], "at least 1 item"),
        ("datasets.mnist.extractors", [], "at least 1 item"),
        ("models.gan.betas", [0.5], "at least 2 items"),
        # Of another type:
        ("models.gan.epochs", 2.0, "integer"),
        ("models.gan.epochs", "2", "integer"),
        ("models.gan.epochs", True, "integer"),
        ("models.gan.epochs", None, "integer"),
        ("models.gan.lr_generator", "fast", "number"),
        ("models.gan.lr_generator", "two\nlines", "number"),
        ("tracking.enabled", "yes", "boolean"),
        ("matrix.models", "gan", "list"),
        ("models.gan", None, "dictionary"),
        ("datasets", [], "dictionary"),
    ],
)
def test_value_that_is_not_allowed(refusal: Refusal, key: str, value: Any, allowed: str) -> None:
    line = refusal(key, value)
    assert line.startswith(f"{key}: {value!r} is not allowed; ")
    assert allowed in line


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("models.gan.betas", [0.5, 1.0], "models.gan.betas.1: 1.0 is not allowed"),
        ("train.pictures", [100, 0], "train.pictures.1: 0 is not allowed"),
        ("matrix.datasets", ["digits", 3], "matrix.datasets.1: 3 is not allowed"),
        ("datasets.digits.extractors", ["vgg"], "datasets.digits.extractors.0: 'vgg' is not"),
    ],
)
def test_wrong_item_of_a_list_is_named_by_its_place(
    refusal: Refusal, key: str, value: Any, named: str
) -> None:
    assert refusal(key, value).startswith(named)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("penalties", {"gradent": 10.0}, "'gradent' is not allowed; did you mean 'gradient'?"),
        ("augment", ["colour"], "'colour' is not allowed; allowed: cutout, translation"),
    ],
)
def test_a_part_of_several_that_does_not_exist(
    refusal: Refusal, key: str, value: Any, said: str
) -> None:
    assert refusal(f"models.gan.{key}", value) == f"models.gan.{key}: {said}"


@pytest.mark.parametrize("key", ["seed", "models.gan.epochs", "matrix.models", "tracking"])
def test_missing_key_is_named(file: Path, params: dict[str, Any], key: str) -> None:
    *parents, last = key.split(".")
    section = params
    for parent in parents:
        section = section[parent]
    del section[last]
    with file.open("w") as stream:
        YAML().dump(params, stream)
    with pytest.raises(GanvasError, match=rf"{key}: missing; add it"):
        config.load(file)


class TestRule:
    @pytest.mark.parametrize("rule", ["best", "last", "lowest_generator_loss", 1, 20])
    def test_is_a_name_or_an_epoch(self, edited: Callable[[str, Any], Path], rule: Any) -> None:
        assert config.load(edited("select.rule", rule)).select.rule == rule

    @pytest.mark.parametrize("rule", ["bset", 0, -1, 2.5, True, None, "5", [1]])
    def test_is_nothing_else(self, refusal: Refusal, rule: Any) -> None:
        line = refusal("select.rule", rule)
        assert line.startswith(f"select.rule: {rule!r} is not allowed; ")
        for allowed in ("'best'", "'last'", "'lowest_generator_loss'"):
            assert allowed in line

    def test_message_says_that_an_epochs_number_is_allowed_too(self, refusal: Refusal) -> None:
        assert "epoch" in refusal("select.rule", "bset")


class TestTogether:
    """What no single key shows."""

    @pytest.mark.parametrize(
        ("key", "value", "expected"),
        [
            ("matrix.datasets", ["mnits"], "matrix.datasets.0: unknown data set 'mnits'; did you"),
            ("matrix.datasets", ["mnist", "svhn"], "matrix.datasets.1: unknown data set 'svhn'"),
            ("matrix.models", ["gan", "wgan"], "matrix.models.1: unknown model 'wgan'; did you"),
            ("matrix.models", ["xyz"], "matrix.models.0: unknown model 'xyz'; allowed: gan, dcgan"),
            (
                "datasets.digits.models.dcgna",
                {},
                "datasets.digits.models.dcgna: unknown model; did",
            ),
        ],
    )
    def test_unknown_names(self, refusal: Refusal, key: str, value: Any, expected: str) -> None:
        assert refusal(key, value).startswith(expected)

    def test_data_set_without_a_source(self, refusal: Refusal, params: dict[str, Any]) -> None:
        line = refusal("datasets.minst", copy.deepcopy(params["datasets"]["mnist"]))
        assert line == (
            "datasets.minst: unknown data set, and no `folder` of your own images; did you mean "
            "'mnist'?"
        )

    @pytest.mark.parametrize(
        ("key", "whose"),
        [
            ("models.gan.batch_size", "with gan"),
            ("models.dcgan.batch_size", "with dcgan"),
            ("datasets.digits.models.gan", "digits with gan"),
            ("classifier.batch_size", "digits's classifier"),
        ],
    )
    def test_batch_larger_than_the_data(self, refusal: Refusal, key: str, whose: str) -> None:
        value: Any = {"batch_size": 60_001} if key.endswith(".gan") else 60_001
        line = refusal(key, value)
        assert line.startswith("batch_size: 60001 is more than the ")
        assert whose in line and "lower batch_size" in line

    def test_batch_may_be_all_the_images_that_validation_leaves(
        self, edited: Callable[[str, Any], Path], refusal: Refusal
    ) -> None:
        edited("datasets.digits.validation_images", 97)
        left = SOURCES["digits"].train_images - 97
        config.load(edited("models.gan.batch_size", left))
        assert f"{left} training images left" in refusal("models.gan.batch_size", left + 1)

    @pytest.mark.parametrize("held_out", [1297, 5000])
    def test_validation_may_not_take_all_images(self, refusal: Refusal, held_out: int) -> None:
        line = refusal("datasets.digits.validation_images", held_out)
        assert "the 0 training images" in line and "validation_images" in line

    def test_model_may_not_be_called_what_another_output_is_called(
        self, refusal: Refusal, params: dict[str, Any]
    ) -> None:
        """models/<dataset>/classifier is the extractor's place."""
        assert "classifier" in refusal("models.classifier", dict(params["models"]["gan"]))

    @pytest.mark.parametrize("name", ["identity", "mean", "nearest"])
    def test_model_may_not_be_called_what_a_baseline_is_called(
        self, refusal: Refusal, params: dict[str, Any], name: str
    ) -> None:
        line = refusal(f"models.{name}", dict(params["models"]["pix2pix"]))
        assert line.startswith(f"models.{name}: not allowed as a name; ") and "are taken" in line

    def test_only_what_is_translated_may_be_larger_than_64_pixels(
        self, refusal: Refusal, edited: Callable[[str, Any], Path]
    ) -> None:
        own = {"folder": "~/own", "channels": 3, "image_size": 256}
        for kind in ("pairs", "domains"):
            found = config.load(edited("datasets.own", {**own, "kind": kind}))
            assert found.datasets["own"].image_size == 256
        line = refusal("datasets.own", {**own, "image_size": 65})
        assert line.startswith("datasets.own.image_size: 65 is not allowed; images are generated")
        assert "less than or equal to 256" in refusal(
            "datasets.own", {**own, "kind": "pairs", "image_size": 257}
        )


class TestYaml:
    def test_scientific_notation_is_a_number(self, file: Path, root: Path) -> None:
        text = (root / "params.yaml").read_text()
        written = text.replace("lr_generator: 0.0001", "lr_generator: 1e-5")
        assert written != text
        file.write_text(written)
        assert config.load(file).models["gan"].lr_generator == 0.00001

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("matrix: [", 1),
            ("seed: 1\nseed: 2", 2),
            ("train:\n\tlog_every: 1", 2),
            ("seed: 1: 2", 1),
            ("seed: *anchor", 1),
            ("seed: !!python/object/apply:os.getcwd []", 1),
        ],
    )
    def test_that_is_invalid_is_named_by_its_line(self, file: Path, text: str, line: int) -> None:
        file.write_text(text)
        with pytest.raises(GanvasError) as caught:
            config.load(file)
        assert str(caught.value).startswith(f"{file}: line {line} ")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("text", ["", "# nothing\n", "seed", "[1, 2]"])
    def test_that_is_no_mapping(self, file: Path, text: str) -> None:
        file.write_text(text)
        with pytest.raises(GanvasError, match=r"the file: .* is not allowed"):
            config.load(file)

    def test_that_is_no_text(self, file: Path) -> None:
        file.write_bytes(b"\xff\xfe\x00seed")
        with pytest.raises(GanvasError, match=r"params\.yaml"):
            config.load(file)

    def test_that_is_not_there(self, file: Path) -> None:
        with pytest.raises(GanvasError, match="No such file or directory; run from the repo"):
            config.load(file)


class TestOwnImages:
    """A data set with a `folder`: three lines, and everything else has a default."""

    OWN: ClassVar[dict[str, Any]] = {"folder": "~/flowers", "channels": 3, "image_size": 32}

    @pytest.fixture
    def own(self, edited: Callable[[str, Any], Path]) -> Callable[..., config.Params]:
        def load(name: str = "flowers", **changes: Any) -> config.Params:
            settings = {k: v for k, v in (self.OWN | changes).items() if v is not None}
            return config.load(edited(f"datasets.{name}", settings))

        return load

    def test_three_lines_are_enough(self, own: Callable[..., config.Params]) -> None:
        params = own()
        settings = params.datasets["flowers"]
        assert (settings.fit, settings.test_share, settings.extractors) == ("crop", 0.2, None)
        assert settings.form == ((3, 32, "crop", (255, 255, 255)))
        assert params.recipe("flowers", "dcgan") == params.models["dcgan"]
        found = params.data_sets()["flowers"]
        assert found["models"].keys() == params.models.keys()
        assert not any(found["models"].values())
        assert found["folder"] == "~/flowers" and found["unreadable_share"] == 0.01

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"channels": None}, "datasets.flowers.channels: missing; add it"),
            ({"image_size": None}, "datasets.flowers.image_size: missing; add it"),
            ({"channels": 2}, "datasets.flowers.channels: 2 is not allowed; input should be 1 or"),
            ({"fit": "stretch"}, "datasets.flowers.fit: 'stretch' is not allowed; input should be"),
            ({"background": [0, 0]}, "datasets.flowers.background: [0, 0] is not allowed"),
            ({"test_share": 0.5}, "datasets.flowers.test_share: 0.5 is not allowed; input should"),
            ({"validation_images": 9}, "datasets.flowers.validation_images: of published data set"),
            ({"fodler": "x"}, "datasets.flowers: unknown key 'fodler'; did you mean 'folder'?"),
            ({"name": "Flowers"}, "datasets.Flowers: not allowed as a name; use small letters"),
            ({"name": "mnist"}, "datasets.mnist.folder: mnist is published; give your images anot"),
        ],
    )
    def test_what_is_not_allowed(
        self, own: Callable[..., config.Params], changes: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(GanvasError) as error:
            own(**changes)
        assert f": {said}" in str(error.value) and "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("fit", "pad", "datasets.mnist.fit: only where there is a `folder` of your own images"),
            ("channels", 3, "datasets.mnist.channels: mnist is grey; set 1"),
        ],
    )
    def test_keys_of_a_folder_are_not_for_published_sets(
        self, refusal: Refusal, key: str, value: Any, said: str
    ) -> None:
        assert refusal(f"datasets.mnist.{key}", value) == said


class TestMade:
    """A data set made of a published one: pairs, or domains."""

    EDGES: ClassVar[dict[str, Any]] = {
        **{"of": "fashion_mnist", "made": "edges", "validation_images": 5000},
        **{"channels": 1, "image_size": 28},
    }
    DRESSES: ClassVar[dict[str, Any]] = EDGES | {
        **{"of": "mnist", "made": ["plain", "inverted", "coloured"], "channels": 3},
    }

    @pytest.fixture
    def given(self, edited: Callable[[str, Any], Path]) -> Callable[..., config.Dataset]:
        def load(settings: dict[str, Any], name: str = "own") -> config.Dataset:
            values = {key: value for key, value in settings.items() if value is not None}
            return config.load(edited(f"datasets.{name}", values)).datasets[name]

        return load

    def test_may_be_all_that_there_is(self) -> None:
        assert (tuple(made.PAIRS), tuple(made.DRESSES)) == (config.PAIRS, config.DRESSES)

    def test_says_what_of_and_how(self, given: Callable[..., config.Dataset]) -> None:
        assert given(self.EDGES).made == "edges"
        assert given(self.DRESSES).made == ["plain", "inverted", "coloured"]
        grey = self.DRESSES | {"made": ["plain", "rotated"], "channels": 1}
        assert given(grey).of == "mnist"

    @pytest.mark.parametrize(
        ("settings", "name", "said"),
        [
            (EDGES | {"made": "edge"}, "own", "own.made: 'edge' is not allowed; did you mean 'ed"),
            (DRESSES | {"made": ["plain", "edges"]}, "own", "own.made: 'edges' is not allowed; al"),
            (EDGES | {"made": ["plain"]}, "own", "own.made"),
            (EDGES | {"made": None}, "own", "own.of: of data sets that are made of it"),
            (EDGES, "mnist", "mnist.of: of data sets that are made of it"),
            (EDGES | {"of": "mnits"}, "own", "own.of: 'mnits' is not published; did you mean 'mn"),
            (EDGES | {"channels": 3}, "own", "own.channels: own is grey; set 1"),
            (DRESSES | {"channels": 1}, "own", "own.channels: own is in colour; set 3"),
            (EDGES | {"made": "grey"}, "own", "own.made: grey needs colour, and fashion_mnist has"),
            (EDGES, "Edges", "Edges: not allowed as a name; use small letters"),
            (EDGES | {"of": None}, "mnist", "mnist.of: of data sets that are made of it"),
            (DRESSES | {"made": ["plain", "plain"]}, "own", "own.made: ['plain', 'plain'] names"),
            (EDGES | {"models": {"pix2pix": {"epohcs": 3}}}, "own", "own.models.pix2pix: unknown"),
            (
                EDGES | {"folder": "x", "validation_images": None},
                "own",
                "own.of: of published data sets, and this one has a",
            ),
        ],
    )
    def test_what_is_not_allowed(
        self,
        given: Callable[..., config.Dataset],
        settings: dict[str, Any],
        name: str,
        said: str,
    ) -> None:
        with pytest.raises(GanvasError) as error:
            given(settings, name)
        assert f": datasets.{said}" in str(error.value) and "\n" not in str(error.value)

    def test_a_translator_has_settings_of_its_own(self, edited: Callable[[str, Any], Path]) -> None:
        settings = self.EDGES | {"models": {"pix2pix": {"epochs": 3}}}
        params = config.load(edited("datasets.own", settings))
        assert params.recipe("own", "pix2pix").epochs == 3
        assert params.recipe("mnist", "pix2pix") == params.models["pix2pix"]

    def test_who_is_in_which_domain_may_be_drawn_anew(
        self, given: Callable[..., config.Dataset]
    ) -> None:
        assert given(self.DRESSES | {"split_seed": 7}).split_seed == 7

    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("pix2pix.latent_dim", 3, "pix2pix: unknown key 'latent_dim'; allowed: method, "),
            ("gan.pool", 3, "gan: unknown key 'pool'; "),
            ("stargan.blocks", -1, "stargan.blocks: -1 is not allowed; "),
            ("pix2pix.generator", "unett", "pix2pix.generator: 'unett' is not allowed; did you"),
            ("pix2pix.method", "adversarial", "pix2pix.method: adversarial needs a network, not"),
        ],
    )
    def test_what_translates_has_the_keys_of_its_own_kind(
        self, refusal: Refusal, key: str, value: object, said: str
    ) -> None:
        assert refusal(f"models.{key}", value).startswith(f"models.{said}")


class TestMatrix:
    """Images by models that make them, translations by those that translate."""

    ONE: ClassVar = {"edges-pix2pix": {"dataset": "edges", "model": "pix2pix"}}

    @pytest.mark.parametrize(
        ("matrix", "said"),
        [
            ({"datasets": ["edges"]}, "datasets.0: edges has pairs, to translate; name it in mat"),
            ({"datasets": ["dresses"]}, "datasets.0: dresses has domains, to translate; name it"),
            ({"models": ["pix2pix"]}, "models.0: pix2pix translates; name it in matrix.transl"),
            ({"translated": ["mnist"]}, "translated.0: mnist has neither pairs nor domains; na"),
            ({"translated": ["edgse"]}, "translated.0: unknown data set 'edgse'; did you mean"),
            ({"translated": ["edges"]}, "translated.0: no translation of edges; add one"),
            ({"translations": ONE}, "translations.edges-pix2pix.dataset: add edges to matrix.tra"),
            (
                {"translated": ["edges"], "translations": {"own": ONE["edges-pix2pix"]}},
                "translations.own: name it edges-pix2pix, as its stages are called",
            ),
            (
                {"translations": {"edges-gan": {"dataset": "edges", "model": "gan"}}},
                "translations.edges-gan.model: gan translates nothing; name it in matrix.models",
            ),
            (
                {"translations": {"edges-x": {"dataset": "edges", "model": "x"}}},
                "translations.edges-x.model: unknown model 'x'; allowed: gan, ",
            ),
            (
                {"translations": {"x-pix2pix": {"dataset": "x", "model": "pix2pix"}}},
                "translations.x-pix2pix.dataset: unknown data set 'x'; allowed: digits, ",
            ),
            ({"datasets": []}, "datasets: names none; add one"),
            ({"datasets": ["mnist", "mnist"]}, "datasets: ['mnist', 'mnist'] names one twice"),
            ({"translated": ["edges", "edges"]}, "translated: ['edges', 'edges'] names one twice"),
        ],
    )
    def test_what_is_not_allowed(
        self, refusal: Refusal, params: dict[str, Any], matrix: dict[str, Any], said: str
    ) -> None:
        line = refusal("matrix", dict(params["matrix"]) | matrix)
        assert line.startswith(f"matrix.{said}")

    def test_translations_alone_are_enough(
        self, edited: Callable[[str, Any], Path], params: dict[str, Any]
    ) -> None:
        given = {"datasets": [], "translated": ["edges"], "translations": self.ONE}
        matrix = config.load(edited("matrix", dict(params["matrix"]) | given)).matrix
        assert matrix.translations["edges-pix2pix"].model == "pix2pix"
