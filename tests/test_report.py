import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.reporting import report, scoreboard
from ganvas.tracking.runs import Origin

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")

SCORES = {
    "fid": 12.5,
    "fid_std": 0.25,
    "fid_infinity": 11.75,
    "inception_score": 7.5,
    "inception_score_std": 0.1,
    "kid": 3.25,
    "kid_std": 0.5,
    "precision": 0.5,
    "recall": 0.25,
    "density": 0.75,
    "coverage": 0.625,
    "modes_covered": 9.0,
    "modes_kl": 0.03125,
}
FLOOR = {**SCORES, "fid": 1.5, "precision": 0.96875, "modes_covered": 10.0}
PICTURES = {"gan": (100, 300, 1000), "dcgan": (100, 400)}
HASHES = {"gan": "a" * 32 + ".dir", "dcgan": "b" * 32 + ".dir"}
SHARES = [0.1] * 10


def build(
    root: Path,
    *,
    rows: int = 30,
    epochs: int = 20,
    pictures: dict[str, tuple[int, ...]] = PICTURES,
    optional: bool = False,
    warnings: tuple[str, ...] = (),
) -> None:
    """Write below `root` the files of a finished pipeline that the report reads."""
    random = np.random.default_rng(0)
    floor: dict[str, Any] = {"classifier": dict(FLOOR), "images": 1097}
    if optional:
        floor["classifier"]["histogram"] = SHARES
    write(root / "results/digits/floor.json", floor)
    classifier = {"test_accuracy": 0.998, "test_images": 500, "train_images": 1097}
    write(root / "results/digits/classifier.json", classifier)
    for model, drawn in pictures.items():
        at = folders(root, model)
        for path in (at.model / "progress", at.samples, at.results):
            path.mkdir(parents=True)
        scores: dict[str, Any] = dict(SCORES, fid=SCORES["fid"] * (10 if model == "gan" else 1))
        metrics: dict[str, Any] = {"images": 10_000, "classifier": scores}
        if optional:
            scores["histogram"] = random.dirichlet(np.ones(10)).tolist()
            metrics["pixels"] = {"memorisation": -0.125}
            picture(random, at.samples / "nearest.png", 300)
        write(at.results / "metrics.json", metrics)
        names = ["classifier", "pixels"] if optional else ["classifier"]
        origin = {
            "extractor": names,
            "reference": ["500 test"] * len(names),
            "weights_sha256": ["e" * 64, ""][: len(names)],
        }
        table(at.results / "scores.csv", origin)
        config = {"model": model, "seed": 0, "network": model, "betas": [0.5, 0.999]}
        write(at.model / "config.json", {**config, "warnings": list(warnings)})
        table(
            at.model / "history.csv",
            {
                "iteration": 100 * np.arange(1, rows + 1),
                "epoch": np.linspace(0, epochs, rows),
                "discriminator_loss": random.uniform(0.1, 0.7, rows),
                "generator_loss": 2 + np.sin(np.arange(rows) / rows * 9) + random.random(rows),
                "real_probability": random.uniform(0.5, 0.9, rows),
                "fake_probability": random.uniform(0.1, 0.5, rows),
            },
        )
        every = np.arange(1, 21) * epochs // 20
        fid = (200 if model == "gan" else 20) / np.arange(1, 21)
        fid[14] = 0.5  # the best one, of epoch 15 / 20
        loss = np.linspace(4, 2, 20)
        columns = {"epoch": every, "iteration": every * 100, "fid": fid, "generator_loss": loss}
        table(at.results / "selection.csv", columns)
        selection = {
            "extractor": "classifier",
            "rule": "best",
            "epoch": int(every[14]),
            "iteration": int(every[14]) * 100,
            "checkpoint": f"epoch-{every[14]:04}.safetensors",
            "validation_fid": 0.5,
            "best_epoch": int(every[14]),
            "lowest_generator_loss_epoch": int(every[19]),
        }
        write(at.results / "selection.json", selection)
        picture(random, at.samples / "grid.png", 604)
        picture(random, at.samples / "interpolation.png", 604, 304)
        for iteration in drawn:
            picture(random, at.model / f"progress/iteration-{iteration:07}.png", 304)


def folders(root: Path, model: str) -> report.Folders:
    return report.Folders(
        *(root / kind / "digits" / model for kind in ("models", "samples", "results"))
    )


def write(path: Path, values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def table(path: Path, columns: dict[str, Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def picture(random: np.random.Generator, path: Path, width: int, height: int = 0) -> None:
    """Noise, the worst that can be compressed, enlarged twice as the pipeline's pictures are."""
    pixels = random.integers(0, 256, ((height or width) // 2, width // 2), dtype=np.uint8)
    Image.fromarray(pixels.repeat(2, axis=0).repeat(2, axis=1)).save(path)


def page(
    root: Path,
    lineage: report.Lineage | None = None,
    dataset: str = "digits",
    seed_deviation: float = 0.0,
) -> str:
    models = {
        path.name: folders(root, path.name) for path in sorted((root / "models/digits").iterdir())
    }
    lineage = lineage or report.Lineage("c" * 40, False, "d" * 32 + ".dir", HASHES)
    return report.page(dataset, root / "results/digits", models, lineage, seed_deviation)


# What the page says


def test_the_scores_stand_beside_their_floor(tmp_path: Path) -> None:
    build(tmp_path)
    row = re.search(r'<tr data-measure="fid">.*?</tr>', page(tmp_path), re.DOTALL)
    assert row
    cells = re.findall(r"<td.*?>([\d.,]+)<span class=\"deviation\">± ([\d.]+)", row[0])
    assert cells == [("12.50", "0.25"), ("125.0", "0.2"), ("1.500", "0.250")]
    assert 'data-label="dcgan" class="best"' in row[0]
    assert 'data-label="gan" class="best"' not in row[0]
    assert "lower is better" in row[0]


@pytest.mark.parametrize("better", ["gan", "dcgan"])
def test_the_page_opens_with_the_nearest_to_the_real_images(tmp_path: Path, better: str) -> None:
    build(tmp_path)
    for model in ("gan", "dcgan"):
        path = tmp_path / f"results/digits/{model}/metrics.json"
        scores = json.loads(path.read_text())
        scores["classifier"]["fid"] = 20.0 if model == better else 30.0
        path.write_text(json.dumps(scores))
    text = " ".join(page(tmp_path).split())
    other = {"gan": "dcgan", "dcgan": "gan"}[better]
    said = f"{better} comes nearest to the real images with 20.00; {other} scores 30.00."
    assert said in text
    assert 'class="best">20.00' in text
    text = " ".join(page(tmp_path, seed_deviation=0.2).split())
    assert said not in text and 'class="best">20.00' not in text
    assert (
        f"{better} scores 20.00, {other} scores 30.00: between {better} and {other} seeds make "
        "more of a difference than that, so none of them is ahead."
    ) in text


def test_each_table_says_what_its_scores_were_computed_from(tmp_path: Path) -> None:
    build(tmp_path, optional=True)
    section = re.search(r'<section id="scores">.*?</section>', page(tmp_path), re.DOTALL)
    assert section
    intro, *tables = re.sub(r"<[^>]+>", "", section[0]).split("Against ")
    assert "10,000 by dcgan, 10,000 by gan." in " ".join(intro.split())
    assert "1,097 real training images" in " ".join(intro.split()), "the floor's number of images"
    assert [text.partition(".")[0] for text in tables] == [
        f"500 test images, by the weights with sha256 {'e' * 64}",
        "500 test images",
    ]


def test_every_measure_of_the_pipeline_is_explained() -> None:
    from ganvas.evaluation.features import Features
    from ganvas.evaluation.measures import MEASURES

    torch = pytest.importorskip("torch")
    random = torch.Generator().manual_seed(0)
    features = torch.rand(60, 4, generator=random).double()
    probabilities = torch.rand(60, 3, generator=random).double().softmax(1)
    of = Features(features=features, probabilities=probabilities)
    measures = [measure for measure in MEASURES.values() if measure.of != "pixels"]
    names = {name for measure in measures for name in measure.compare(of, of, 0)} | {"memorisation"}
    assert {name.removesuffix("_std") for name in names} <= scoreboard.MEASURES.keys()


def test_every_measure_on_the_page_says_what_it_means(tmp_path: Path) -> None:
    build(tmp_path, optional=True)
    said = re.findall(r'data-measure="(\w+)".*?class="meaning">(.*?)</', page(tmp_path), re.DOTALL)
    assert {measure for measure, _ in said} == scoreboard.MEASURES.keys()
    assert all(len(meaning) > 40 for _, meaning in said)


def test_what_is_optional_appears_only_where_it_is_made(tmp_path: Path) -> None:
    build(tmp_path / "without")
    build(tmp_path / "with", optional=True)
    without, with_them = page(tmp_path / "without"), page(tmp_path / "with")
    for part in ('<section id="nearest">', '<section id="classes">', "Memorisation"):
        assert part not in without
        assert part in with_them
    assert "MLflow run" not in with_them
    lineage = report.Lineage(
        "c" * 40,
        True,
        "data",
        HASHES,
        origins={
            "gan": Origin("run-7", "2026-01-02", "a" * 40, newest=True),
            "dcgan": Origin("run-8", "2026-01-03", "b" * 40, newest=False),
        },
    )
    text = page(tmp_path / "with", lineage)
    assert "run-7" in text and "run-8" in text and "2026-01-02" in text and "b" * 40 in text
    assert text.count("DVC kept or restored this one") == 1


def test_the_lineage_says_whether_the_tree_was_dirty(tmp_path: Path) -> None:
    build(tmp_path)
    clean = page(tmp_path, report.Lineage("c" * 40, False, "data-hash", HASHES))
    dirty = page(tmp_path, report.Lineage("c" * 40, True, "data-hash", HASHES))
    without_git = page(tmp_path, report.Lineage(None, False, "data-hash", HASHES))
    assert "c" * 40 in clean and "data-hash" in clean and HASHES["gan"] in clean
    assert "not committed" in dirty and "not committed" not in clean
    assert "not in a git repository" in without_git


def test_parameters_that_differ_stand_apart_from_those_that_agree(tmp_path: Path) -> None:
    build(tmp_path)
    section = re.search(r'<section id="parameters">.*?</section>', page(tmp_path), re.DOTALL)
    assert section
    differing, agreeing = section[0].split("<details>")
    assert "network" in differing and "seed" not in differing
    assert "seed" in agreeing and "0.5, 0.999" in agreeing and "network" not in agreeing


def test_the_lowest_generator_loss_is_said_with_its_fid(tmp_path: Path) -> None:
    build(tmp_path)
    text = " ".join(re.sub(r"<[^>]+>", "", page(tmp_path)).split())
    assert "gan: epoch 15 is taken (rule: best), with an FID of 0.5000. " in text
    assert "lowest at epoch 20, where the FID is 10.00." in text


def test_one_model_makes_a_page_too(tmp_path: Path) -> None:
    build(tmp_path, pictures={"dcgan": (100,)})
    assert "dcgan reaches an FID of 12.50" in page(tmp_path)


# What the page is made of


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    build(tmp_path, optional=True)
    program = (
        "import sys; from pathlib import Path; from test_report import page; "
        "import hashlib; print(hashlib.sha256(page(Path(sys.argv[1])).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_long_training_stays_under_five_megabytes(tmp_path: Path) -> None:
    drawn = tuple(range(10_000, 130_000, 10_000))
    build(tmp_path, rows=1_700, epochs=200, pictures={"gan": drawn, "dcgan": drawn}, optional=True)
    assert len(page(tmp_path).encode()) < 5_000_000


def test_far_too_many_pictures_and_rows_stay_under_five_megabytes(tmp_path: Path) -> None:
    drawn = tuple(range(100, 6_100, 100))
    build(tmp_path, rows=30_000, pictures={"gan": drawn, "dcgan": drawn})
    picture(np.random.default_rng(0), tmp_path / "samples/digits/gan/grid.png", 3_000)
    html = page(tmp_path)
    assert len(html.encode()) < 5_000_000
    assert "each point averages 1,500 iterations" in html


def test_nothing_is_fetched(tmp_path: Path) -> None:
    build(tmp_path, optional=True)
    html = re.sub(r"data:image/png;base64,[\w+/=]+", "data:", page(tmp_path))
    assert set(re.findall(r'(?:src|href)="(?!#)([^"]*)"', html)) == {"data:", "data:,"}
    assert set(re.findall(r"\w+://[^\"' ]+", html)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in html and "@import" not in html


def test_scores_by_a_classifier_that_does_not_know_the_data_say_so(tmp_path: Path) -> None:
    build(tmp_path)
    assert "Scores to distrust" not in page(tmp_path)
    for model in PICTURES:
        path = folders(tmp_path, model).results / "metrics.json"
        warned = {**json.loads(path.read_text()), "warnings": ["the classifier reads <10 %"]}
        write(path, warned)
    html = page(tmp_path)
    assert "<strong>Scores to distrust</strong>" in html
    assert html.count("<li>the classifier reads &lt;10 %</li>") == 1


def test_text_from_files_is_escaped(tmp_path: Path) -> None:
    build(tmp_path, warnings=("</script><script>alert(1)</script>",))
    at = folders(tmp_path, "gan")
    config = json.loads((at.model / "config.json").read_text())
    write(at.model / "config.json", {**config, "network": "<img src=x onerror=alert(2)>"})
    html = page(tmp_path, dataset="</title><b>")
    assert "<script>alert(1)" not in html
    assert "<img src=x" not in html
    assert "</title><b>" not in html
    assert "&lt;img src=x" in html


# What can be missing


MISSING = [
    "results/digits/floor.json",
    "results/digits/classifier.json",
    "results/digits/gan/metrics.json",
    "results/digits/gan/scores.csv",
    "results/digits/gan/selection.json",
    "results/digits/gan/selection.csv",
    "models/digits/gan/config.json",
    "models/digits/gan/history.csv",
    "models/digits/gan/progress",
    "samples/digits/gan/grid.png",
    "samples/digits/gan/interpolation.png",
]


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_file_is_named_with_what_makes_it(tmp_path: Path, name: str) -> None:
    build(tmp_path)
    path = tmp_path / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(GanvasError) as caught:
        page(tmp_path)
    message = str(caught.value)
    assert str(path) in message and "`dvc repro report@digits`" in message
    assert "\n" not in message


def test_the_stage_asks_for_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganvas.workflow import instances
    from stages import report as stage

    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    with pytest.raises(GanvasError, match=r"data/normalized/digits: missing; .* report@digits"):
        stage.main(instances.data_set("digits"))
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results/digits/floor.json", "{"),
        ("results/digits/gan/metrics.json", "[]"),
        ("results/digits/gan/scores.csv", "extractor,value\nclassifier,1\n"),
        ("models/digits/gan/history.csv", "iteration,epoch\n1,2\n"),
        (
            "models/digits/gan/history.csv",
            "iteration,epoch,discriminator_loss,generator_loss\n1,2,x,3\n",
        ),
        ("results/digits/gan/selection.csv", "epoch,iteration,fid,generator_loss\n"),
        ("samples/digits/gan/grid.png", "x" * 400_000),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: str) -> None:
    build(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(GanvasError, match=re.escape(name)):
        page(tmp_path)


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    build(tmp_path, rows=100)
    path = tmp_path / "models/digits/gan/history.csv"
    lines = path.read_text().splitlines()
    lines[3] = "300,1,nan,inf,0.5,nan"
    path.write_text("\n".join(lines))
    html = page(tmp_path)
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert found and "NaN" not in found[1] and "Infinity" not in found[1]
    curve = json.loads(found[1])["charts"]["generator-gan"]["series"][0]
    assert curve["values"][2] is None and curve["smooth"][2] is not None


# The parts


def test_a_model_without_a_picture_shows_its_nearest_earlier_one() -> None:
    shown = report.steps({"gan": [100, 1000], "dcgan": [300, 850]})
    assert [step["iteration"] for step in shown] == [100, 300, 850, 1000]
    assert [step["shown"]["gan"] for step in shown] == [100, 100, 100, 1000]
    assert [step["shown"]["dcgan"] for step in shown] == [None, 300, 850, 850]
    assert shown[3]["captions"]["dcgan"] == "iteration 850, the nearest earlier picture"
    assert shown[2]["captions"]["dcgan"] == "iteration 850"


def test_thinned_steps_keep_both_ends() -> None:
    shown = report.steps({"gan": range(1, 1001)}, limit=7)
    assert len(shown) == 7
    assert (shown[0]["iteration"], shown[-1]["iteration"]) == (1, 1000)


def test_running_mean() -> None:
    expected = [1.5, 2.0, 3.0, 4.0, 4.5]
    assert report.running_mean([1, 2, 3, 4, 5], 3).tolist() == expected
    assert report.running_mean([1, float("nan"), 3], 3).tolist() == [1, 2, 3]
    values = np.random.default_rng(0).random(101)
    assert report.running_mean(values, 11)[50] == pytest.approx(values[45:56].mean())


# In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not CHROMIUM or not CHROMEDRIVER:
        pytest.skip("chromium and chromedriver are not installed: the page is not looked at")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"):
        options.add_argument(f"--{flag}")
    for flag in ("background-networking", "component-update", "sync", "dev-shm-usage"):
        options.add_argument(f"--disable-{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=CHROMEDRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("report")
    build(root, rows=200, optional=True, warnings=("the discriminator has won: " + "lost " * 30,))
    path = root / "index.html"
    path.write_text(page(root), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Any]:
    """The page at desktop width in light mode; afterwards nothing may be on the console."""
    view(browser, 1100)
    browser.get(address)
    browser.get_log("browser")
    browser.refresh()
    yield browser
    assert browser.get_log("browser") == []


def view(browser: Any, width: int, scheme: str = "light") -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def shown(browser: Any) -> dict[str, list[int]]:
    """The iterations of the pictures that can be seen, by model."""
    script = """
      return Object.fromEntries([...document.querySelectorAll('#frames figure')].map(figure => [
        figure.dataset.model,
        [...figure.querySelectorAll('img')].filter(i => i.offsetHeight > 0 && i.naturalWidth > 0)
          .map(i => Number(i.dataset.iteration))]))"""
    return dict(browser.execute_script(script))


def test_the_slider_moves_the_pictures(opened: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    slider = opened.find_element("id", "step")
    caption = opened.find_element("css selector", "#frames [data-model=dcgan] .shown")
    value = opened.find_element("id", "step-value")
    assert shown(opened) == {"gan": [1000], "dcgan": [400]}
    assert caption.text == "iteration 400, the nearest earlier picture"

    slider.send_keys(Keys.ARROW_LEFT)
    assert shown(opened) == {"gan": [300], "dcgan": [400]}
    assert value.text == "400" and caption.text == "iteration 400"
    slider.send_keys(Keys.HOME)
    assert shown(opened) == {"gan": [100], "dcgan": [100]}
    slider.send_keys(Keys.ARROW_RIGHT)
    assert shown(opened) == {"gan": [300], "dcgan": [100]}
    assert slider.get_attribute("aria-valuetext") == "iteration 300"

    opened.execute_script(
        "arguments[0].value = 3; arguments[0].dispatchEvent(new Event('input'))", slider
    )
    assert shown(opened) == {"gan": [1000], "dcgan": [400]}


def test_the_pictures_stand_side_by_side_on_a_telephone_too(opened: Any) -> None:
    view(opened, 360)
    opened.refresh()
    figures = opened.find_elements("css selector", "#frames figure")
    pictures = [figure.find_element("css selector", "img:not([hidden])") for figure in figures]
    left, right = (picture.rect for picture in pictures)
    assert left["y"] == right["y"] and left["x"] + left["width"] < right["x"]


def test_every_chart_is_drawn(opened: Any) -> None:
    charts = opened.find_elements("css selector", "figure.chart")
    names = {chart.get_attribute("data-chart") for chart in charts}
    kinds = ("generator", "discriminator", "probability", "fid")
    assert names == {"histogram", *(f"{k}-{m}" for k in kinds for m in ("gan", "dcgan"))}
    for chart in charts:
        drawn = chart.find_elements("css selector", "path.line, rect.bar")
        assert drawn, chart.get_attribute("data-chart")
        assert len(chart.find_elements("css selector", "text")) > 4
        assert "NaN" not in chart.get_attribute("outerHTML")
    marks = opened.find_elements("css selector", "[data-chart='fid-gan'] svg path:not(.line)")
    assert [mark.get_attribute("class") for mark in marks] == ["taken", "best", "loss"]


def test_hover_touch_and_keys_read_values(opened: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.pointer_input import PointerInput
    from selenium.webdriver.common.keys import Keys

    chart = opened.find_element("css selector", "[data-chart='fid-gan']")
    svg, readout = (
        chart.find_element("tag name", "svg"),
        chart.find_element("class name", "readout"),
    )
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", svg)
    assert readout.text.startswith("epoch 20\n")

    # The middle of 42 .. width - 10 is epoch 10, whose FID is 200 / 10.
    middle = round((42 - 10) / 2)
    ActionChains(opened, duration=0).move_to_element_with_offset(svg, middle, 0).perform()
    assert readout.text.startswith("epoch 10\nFID 20 ·")
    assert chart.find_elements("css selector", "line.cursor")

    touch = ActionChains(opened, duration=0, devices=[PointerInput("touch", "finger")])
    right = svg.size["width"] // 2 - 12
    touch.w3c_actions.pointer_action.move_to(svg, right, 0).pointer_down().pointer_up()
    touch.w3c_actions.perform()
    assert readout.text.startswith("epoch 20\nFID 10 ·")
    assert readout.text.endswith("lowest generator loss")

    svg.send_keys(Keys.HOME)
    assert readout.text.startswith("epoch 1\nFID 200 ·")
    svg.send_keys(Keys.ARROW_RIGHT)
    assert readout.text.startswith("epoch 2\nFID 100 ·")
    assert svg.get_attribute("aria-valuetext") == "epoch 2: " + readout.text.split("\n")[1]

    bars = opened.find_element("css selector", "[data-chart='histogram'] svg")
    bars.send_keys(Keys.HOME)
    text = opened.find_element("css selector", "[data-chart='histogram'] .readout").text
    assert text.startswith("class 0\nreal images 10 % · dcgan ")


@pytest.mark.parametrize("width", [360, 768, 1100])
def test_nothing_is_cut_off(opened: Any, width: int) -> None:
    view(opened, width)
    opened.refresh()
    script = """
      const wide = [...document.querySelectorAll('body *')].filter(element => {
        if (element.closest('script, noscript, thead, .scroll .scroll')) return false;
        const scroller = element.closest('.scroll');
        if (scroller && scroller !== element && scroller.scrollWidth > scroller.clientWidth
            && !element.closest('.scores')) return false;
        const box = element.getBoundingClientRect();
        return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
      });
      return [document.scrollingElement.scrollWidth, innerWidth,
              wide.map(element => element.outerHTML.slice(0, 80))]"""
    scroll_width, inner_width, wide = opened.execute_script(script)
    assert inner_width == width
    assert wide == []
    assert scroll_width <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(opened: Any, scheme: str) -> None:
    view(opened, 1100, scheme)
    script = """
      const rgb = text => text.match(/[\\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const behind = element => {
        for (; element; element = element.parentElement) {
          const colour = rgb(getComputedStyle(element).backgroundColor);
          if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
      };
      const ratios = {};
      for (const element of document.querySelectorAll('body, body *')) {
        if (element.closest('script, noscript')) continue;
        if (![...element.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
        const style = getComputedStyle(element);
        const colour = rgb(element.tagName === 'text' ? style.fill : style.color);
        const pair = [light(colour), light(behind(element))].sort((a, b) => b - a);
        ratios[element.outerHTML.slice(0, 80)] = (pair[0] + 0.05) / (pair[1] + 0.05);
      }
      for (const line of document.querySelectorAll('.chart .line, .chart .bar')) {
        const style = getComputedStyle(line);
        const colour = rgb(line.classList.contains('bar') ? style.fill : style.stroke);
        const pair = [light(colour), light(behind(line))].sort((a, b) => b - a);
        ratios['line ' + line.outerHTML.slice(0, 80)] = (pair[0] + 0.05) / (pair[1] + 0.05);
      }
      return [light(behind(document.body)), ratios]"""
    background, ratios = opened.execute_script(script)
    assert (background < 0.1) == (scheme == "dark")
    assert len(ratios) > 50
    assert {what: ratio for what, ratio in ratios.items() if ratio < 4.5} == {}
