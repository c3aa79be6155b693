"""Translations through the real `dvc repro`: every stage, selective, traced, served, looked at."""

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from background import answers, free_port, serving
from PIL import Image
from repositories import commit, edit, environment, make, ran, run
from safetensors.numpy import load_file

from ganvas.data import datasets, made, questions

OF_DIGITS = {"of": "digits", "image_size": 28, "validation_images": 200}
SPLITS = ("train", "validation", "test")
TINY = {"generator_widths": [8, 8], "discriminator_widths": [8, 8], "batch_size": 16}
TINY |= {"epochs": 2, "checkpoint_every": 1}
NAMES = {
    "edges-pix2pix": {"dataset": "edges", "model": "pix2pix"},
    "dresses-cyclegan": {"dataset": "dresses", "model": "cyclegan"},
}
OF_A_MODEL = ("train", "select", "sample", "evaluate")
COUNT = 300


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def splits(folder: Path, name: str) -> dict[str, dict[str, np.ndarray]]:
    path = folder / "data/normalized" / name
    return {split: load_file(path / f"{split}.safetensors") for split in SPLITS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that translates, and nothing else, made and committed. Left as it was."""
    found = tmp_path_factory.mktemp("translations")
    edges = {**OF_DIGITS, "channels": 1, "made": "edges", "models": {"pix2pix": dict(TINY)}}
    dresses = {**OF_DIGITS, "channels": 3, "made": ["plain", "coloured"]}
    make(
        found,
        matrix__datasets=[],
        matrix__translated=["edges", "dresses"],
        matrix__translations=NAMES,
        datasets__edges=edges,
        datasets__dresses={**dresses, "models": {"cyclegan": {**TINY, "blocks": 1}}},
        classifier__epochs=8,
        train__log_every=10,
        train__pictures=[10, 20],
        select__images=100,
        evaluate__images=COUNT,
    )
    run(found, "dvc", "repro")
    commit(found, "made")
    return found


class TestData:
    def test_pairs_are_made_of_the_images_as_they_are_published(self, folder: Path) -> None:
        found = splits(folder, "edges")
        for split in SPLITS:
            inputs, images = made.PAIRS["edges"](found[split]["images"])
            assert found[split].keys() == {"inputs", "images", "labels"}
            assert np.array_equal(found[split]["inputs"], inputs)
            assert np.array_equal(found[split]["images"], images)
            images, labels = datasets.load(folder / "data/normalized/edges", split)  # of a GAN
            assert labels is not None
            assert np.array_equal(images.numpy(), found[split]["images"])

    def test_domains_are_named_and_each_image_has_an_answer(self, folder: Path) -> None:
        plain, found = splits(folder, "edges"), splits(folder, "dresses")
        path = folder / "data/normalized/dresses"
        assert read(path / "domains.json") == ["plain", "coloured"]
        assert not (folder / "data/normalized/edges/domains.json").exists()
        names = [f"{dress} {digit}" for dress in ("plain", "coloured") for digit in range(10)]
        assert read(path / "classes.json") == names
        assert len(found["train"]["images"]) == len(plain["train"]["images"])
        test, digits = found["test"], plain["test"]
        assert len(test["images"]) == 2 * len(digits["images"])
        assert np.array_equal(test["labels"] % 10, digits["labels"][test["sources"]])
        assert np.array_equal(test["labels"] // 10, test["domains"])
        rows = questions.answer(test["sources"], test["domains"], 1)
        coloured = made.DRESSES["coloured"](digits["images"])
        assert np.array_equal(test["images"][rows], coloured[test["sources"]])


class TestScores:
    def test_pairs_are_held_against_the_truth(self, folder: Path) -> None:
        found, floor = (
            read(folder / f"results/edges/{name}")
            for name in ("pix2pix/metrics.json", "floor.json")
        )
        outputs = np.load(folder / "samples/edges/pix2pix/images.npy").astype(np.float64)
        truth = splits(folder, "edges")["test"]["images"][:COUNT, 0]
        assert outputs.shape == (COUNT, 28, 28)
        expected = np.abs(outputs - truth).mean() / 255
        assert found["pixels"]["l1"] == pytest.approx(expected, rel=1e-12)
        assert found["pixels"].keys() == {"memorisation", "l1", "psnr", "ssim"}
        assert floor["pixels"] == {
            "memorisation": 0,
            "l1": 0,
            "psnr": pytest.approx(54.15, abs=0.01),
            "ssim": 1,
        }
        assert floor["baselines"].keys() == {"identity", "mean", "nearest"}
        for scores in floor["baselines"].values():
            assert scores["pixels"].keys() == found["pixels"].keys()
            assert scores["classifier"]["fid"] > floor["classifier"]["fid"]
        assert floor["baselines"]["nearest"]["pixels"]["memorisation"] == 1  # copies

    def test_of_domains_the_fid_is_the_mean_within_each(self, folder: Path) -> None:
        found, floor = (
            read(folder / f"results/dresses/{name}")
            for name in ("cyclegan/metrics.json", "floor.json")
        )
        fids = found["classifier"]["domain_fids"]
        assert len(fids) == 2 and found["classifier"]["fid"] == pytest.approx(sum(fids) / 2)
        assert {"domain_accuracy", "class_kept", "class_accuracy"} <= found["classifier"].keys()
        assert {"l1", "ssim", "cycle_l1"} <= found["pixels"].keys()
        assert floor["pixels"]["cycle_l1"] == 0
        # The classifier tells the dresses apart, and knows the digits; an image as it is keeps its
        # digit, and is in the wrong domain.
        assert floor["classifier"]["domain_accuracy"] > 0.99
        identity = floor["baselines"]["identity"]["classifier"]
        assert identity["domain_accuracy"] < 0.01 and identity["class_accuracy"] < 0.01
        assert identity["class_kept"] == pytest.approx(floor["classifier"]["class_kept"], abs=0.05)

    def test_a_training_keeps_what_its_translator_is_given(self, folder: Path) -> None:
        given = read(folder / "models/dresses/cyclegan/config.json")["given"]
        assert given["domains"] == ["plain", "coloured"] and given["fit"] == "crop"
        assert given["columns"][:3] == ["plain", "as coloured", "plain again"]
        drawn = Image.open(folder / "models/dresses/cyclegan/progress/iteration-0000010.png")
        assert drawn.size == (2 * (6 * 30 + 2), 2 * (8 * 30 + 2))  # a row for each of 8 images

    def test_a_checkpoint_is_taken_on_held_out_images(self, folder: Path) -> None:
        for name in ("edges/pix2pix", "dresses/cyclegan"):
            chosen = read(folder / f"results/{name}/selection.json")
            assert chosen["epoch"] in (1, 2) and chosen["rule"] == "best"

    def test_the_summary_has_the_baselines_too(self, folder: Path) -> None:
        said = run(folder, "ganvas", "summary", "--dataset", "dresses").stdout
        heads, *rows = [line for line in said.splitlines() if line][1:6]
        assert re.split(r"\s{2,}", heads.strip())[:4] == [
            "FID",
            "right domain",
            "right class",
            "class kept",
        ]
        assert [row.split()[0] for row in rows] == ["cyclegan", "identity", "mean", "real"]
        scores = read(folder / "results/dresses/cyclegan/metrics.json")
        shown = rows[0].split()[1:]
        assert shown[0] == f"{scores['classifier']['fid']:.2f}"
        assert shown[-1] == f"{scores['pixels']['cycle_l1']:.4f}" and rows[1].split()[-1] == "–"
        done = run(folder, "ganvas", "summary", "--dataset", "inverted", check=False)
        assert done.returncode == 1
        assert "inverted: no translation of it in matrix.translations; add one" in done.stderr


class TestPipeline:
    def test_nothing_is_left_to_do(self, folder: Path) -> None:
        assert ran(run(folder, "dvc", "repro", "--dry")) == set()
        assert "all 19 stages are as they were made" in run(folder, "ganvas", "freshness").stdout

    def test_a_change_makes_that_translation_again_alone(self, folder: Path) -> None:
        edit(folder, datasets__dresses__models__cyclegan__epochs=1)
        run(folder, "dvc", "repro", "-q", "params")
        found = ran(run(folder, "dvc", "repro", "--dry"))
        run(folder, "git", "checkout", "-q", "params.yaml")
        run(folder, "dvc", "repro", "-q", "params")
        of_it = {f"{stage}-translation@dresses-cyclegan" for stage in OF_A_MODEL}
        assert "train-translation@dresses-cyclegan" in found
        assert found <= of_it | {"report-translation@dresses"}

    def test_a_module_concerns_the_translations_that_use_it(self, folder: Path) -> None:
        module = folder / "ganvas/networks/translation/unet.py"
        before = module.read_text()
        module.write_text(before + "# edited\n")
        changed = run(folder, "dvc", "status", "--json").stdout
        module.write_text(before)
        stages = json.loads(changed)
        assert "train-translation@edges-pix2pix" in stages
        assert "train-translation@dresses-cyclegan" not in stages

    @pytest.mark.parametrize("name", NAMES)
    def test_a_training_gives_the_same_bytes_again(self, folder: Path, name: str) -> None:
        lock = (folder / "dvc.lock").read_text()
        run(folder, "dvc", "repro", "-f", "-s", f"train-translation@{name}")
        assert (folder / "dvc.lock").read_text() == lock

    def test_a_file_leads_to_its_run_and_all_runs_agree(self, folder: Path) -> None:
        said = run(folder, "ganvas", "lineage", "samples/dresses/cyclegan/images.npy").stdout
        assert "sample-translation@dresses-cyclegan" in said and "MLflow run" in said
        assert "models/dresses/cyclegan/generator" in said
        said = run(folder, "ganvas", "lineage", "--verify").stdout
        assert said.count("matches") >= 2 and "another one" not in said

    def test_a_store_that_was_lost_is_filled_again(self, folder: Path) -> None:
        kept = folder / "mlflow.db"
        kept.rename(folder / "kept.db")
        try:
            said = run(folder, "ganvas", "lineage", "--rebuild").stdout
            assert "edges-pix2pix: written" in said and "dresses-cyclegan: written" in said
        finally:
            (folder / "kept.db").replace(kept)


@pytest.fixture(scope="module")
def given(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first test images of edges, and one of another size."""
    found = tmp_path_factory.mktemp("given")
    for number, pixels in enumerate(splits(folder, "edges")["test"]["inputs"][:5, 0]):
        Image.fromarray(pixels).save(found / f"{number}.png")
    Image.new("L", (50, 40)).save(found / "z.jpg")
    return found


class TestTranslate:
    def test_a_folder_becomes_another(self, folder: Path, given: Path, tmp_path: Path) -> None:
        command = ("ganvas", "translate", "models/edges/pix2pix", "--in", str(given), "--out")
        said = run(folder, *command, str(tmp_path / "out")).stderr
        assert "6 images by models/edges/pix2pix/generator/epoch-" in said
        assert "28 × 28 pixels; 1 had another size: their middle, resized" in said
        names = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert names == [*(f"{number}.png" for number in range(5)), "z.png"]

    @pytest.mark.parametrize(
        ("command", "said"),
        [
            ("draw models/edges/pix2pix --out x.png", "makes images of images, as `ganvas trans"),
            ("translate models/dresses/cyclegan --in . --out x", "--to: missing; name one of pla"),
            ("translate models/dresses/cyclegan --to blue --in . --out x", "--to blue: name one"),
            ("translate models/edges/pix2pix --to blue --in . --out x", "--to blue: it leads one"),
            ("score x.npy --dataset edges", "x.npy: no such file"),
        ],
    )
    def test_what_is_not_allowed(self, folder: Path, command: str, said: str) -> None:
        done = run(folder, "ganvas", *command.split(), check=False)
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and said in done.stderr

    def test_images_of_elsewhere_are_no_answers(self, folder: Path, tmp_path: Path) -> None:
        stream = np.random.default_rng(0)
        np.save(tmp_path / "a.npy", stream.integers(0, 256, (120, 28, 28), np.uint8))
        done = run(
            folder, "ganvas", "score", str(tmp_path / "a.npy"), "--dataset", "edges", check=False
        )
        assert done.returncode == 1 and f"asked {COUNT} questions" in done.stderr


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = f"http://127.0.0.1:{free_port()}"
    command = ["models", "serve", "-m", "models:/ganvas-dresses@best", "--env-manager"]
    command = [sys.executable, "-m", "mlflow", *command, "local", "--port", url[-5:].strip(":")]
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    log = tmp_path_factory.mktemp("log") / "serve.log"
    variables = environment(**store, MLFLOW_DISABLE_TELEMETRY="true")
    with serving(log, command, lambda: answers(f"{url}/ping"), env=variables, cwd=folder):
        yield url


class TestServing:
    """The registered translators: images in, images out."""

    def ask(self, url: str, images: np.ndarray, **params: Any) -> np.ndarray:
        body = {"inputs": images.tolist()} | ({"params": params} if params else {})
        request = urllib.request.Request(
            f"{url}/invocations",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return np.array(json.loads(answer.read())["predictions"], np.uint8)

    def test_answers_are_those_of_the_folder(self, folder: Path, url: str, tmp_path: Path) -> None:
        images = splits(folder, "dresses")["test"]["images"][:4].transpose(0, 2, 3, 1)
        given = tmp_path / "given"
        given.mkdir()
        for number, pixels in enumerate(images):
            Image.fromarray(pixels).save(given / f"{number}.png")
        for to in ("plain", "coloured"):
            command = ("ganvas", "translate", "models:/ganvas-dresses@best", "--to", to, "--in")
            run(folder, *command, str(given), "--out", str(tmp_path / to))
            found = [np.asarray(Image.open(tmp_path / to / f"{n}.png")) for n in range(4)]
            assert np.array_equal(self.ask(url, images, to=to), found)
        assert np.array_equal(self.ask(url, images), found)  # the last domain where none is named

    @pytest.mark.parametrize(
        ("shape", "params", "said"),
        [
            ((1, 32, 32, 3), {}, "images of 32 x 32 pixels are not allowed; 28 x 28 are"),
            ((1, 28, 28, 3), {"to": "blue"}, "'blue' is not allowed; allowed: plain, coloured"),
        ],
    )
    def test_what_is_not_allowed_is_said(
        self, url: str, shape: tuple[int, ...], params: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(urllib.error.HTTPError) as error:
            self.ask(url, np.zeros(shape, np.uint8), **params)
        assert error.value.code == 400 and said in json.loads(error.value.read())["message"]


class TestReport:
    def test_the_card_says_how_it_is_used(self, folder: Path) -> None:
        card = (folder / "reports/dresses/cyclegan/card.md").read_text()
        assert "images of plain, coloured" in card and 'params={"to": "coloured"}' in card
        assert "| measure | value | identity | mean | floor | |" in card
        assert "Made of digits, by stage normalize: domains (plain, coloured)." in card
        assert "latent" not in card

    def test_a_click_enlarges_a_row_and_the_slider_changes_it(
        self, folder: Path, browser: Any
    ) -> None:
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        browser.set_window_size(1100, 900)
        browser.get((folder / "reports/edges/index.html").as_uri())
        said = browser.find_element(By.TAG_NAME, "body").text
        for words in ("identity", "nearest", "Mean error (L1)", "SSIM", "held-out images"):
            assert words in said
        assert "Interpolation" not in said and "latent points" not in said
        enlarged = browser.find_element(By.ID, "enlarged")
        assert not enlarged.is_displayed()
        (image,) = browser.find_elements(By.CSS_SELECTOR, "#frames img:not([hidden])")
        ActionChains(browser).move_to_element_with_offset(image, 0, 9).click().perform()
        assert enlarged.is_displayed()
        caption = enlarged.find_element(By.TAG_NAME, "figcaption")
        assert caption.text == "pix2pix, row 5 of 8, iteration 136"
        assert enlarged.find_element(By.CLASS_NAME, "under").text.split() == [
            "input",
            "output",
            "truth",
        ]
        image.send_keys(Keys.ARROW_UP)
        assert caption.text.startswith("pix2pix, row 4 of 8")
        browser.find_element(By.ID, "step").send_keys(Keys.HOME)
        assert caption.text == "pix2pix, row 4 of 8, iteration 10"
        shown = browser.execute_script(
            "const c = arguments[0], p = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
            "return [c.width, c.height, p.data.some((v, i) => i % 4 < 3 && v)]",
            enlarged.find_element(By.TAG_NAME, "canvas"),
        )
        assert shown[0] > 2.5 * shown[1] > 0 and shown[2] is True
        (image,) = browser.find_elements(By.CSS_SELECTOR, "#frames img:not([hidden])")
        box = image.rect
        assert box["width"] <= 3 * 4 * 16 + 1
        assert browser.get_log("browser") == []


def test_making_another_thing_makes_that_data_set_again_alone(folder: Path) -> None:
    """Last: what it changes is not brought back."""
    edit(folder, datasets__edges__made="surroundings")
    made_again = ran(run(folder, "dvc", "repro", "normalize-translation"))
    assert made_again == {"params", "normalize-translation@edges"}
    images = splits(folder, "edges")["test"]
    assert np.array_equal(images["inputs"], made.PAIRS["surroundings"](images["images"])[0])
