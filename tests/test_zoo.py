"""What is collected of clones and their experiments, and the tables and the chart made of it."""

import csv
import hashlib
import io
import json
import random
import re
import shutil
import sqlite3
import statistics
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from PIL import Image
from repositories import commit, edit, run
from ruamel.yaml import YAML

from benchmarks import search, zoo
from ganvas import config
from ganvas.reporting import search as steps
from ganvas.reporting import showcase
from ganvas.reporting import zoo as tables
from ganvas.workflow import provenance, publication

Row = dict[str, Any]
Lock = dict[str, Any]  # the stages of a dvc.lock
PAGES = [showcase.Page("docs/results.md", "en"), showcase.Page("docs/results.vi.md", "vi")]
METRICS = "results/digits/gan/metrics.json"


@pytest.fixture
def clone(repository: Path, tmp_path: Path) -> Path:
    """What git brings of the tiny repository: no models, no MLflow."""
    run(tmp_path, "git", "clone", "-q", str(repository), "clone")
    return tmp_path / "clone"


@pytest.fixture
def home(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the rows go; its params.yaml is that of the tiny repository."""
    (tmp_path / "home").mkdir()
    text = run(repository, "git", "show", "HEAD:params.yaml").stdout
    (tmp_path / "home/params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "home"


def collected(program: Any, *clones: Path) -> list[Row]:
    """The rows after `python -m benchmarks.zoo`, or search, with these clones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [program.__name__, *map(str, clones)])
        program.main()
    name = program.__name__.partition(".")[2]
    return list(json.loads(Path(f"docs/{name}.json").read_text()))


def seen(rows: list[Row]) -> list[tuple[str, int]]:
    return [(row["model"], row["seed"]) for row in rows]


def head(folder: Path) -> str:
    return run(folder, "git", "rev-parse", "HEAD").stdout.strip()


def locked(folder: Path) -> Lock:
    return dict(YAML(typ="safe").load((folder / "dvc.lock").read_text()))


def outs(folder: Path, stage: str) -> dict[str, str]:
    return {out["path"]: out["md5"] for out in locked(folder)["stages"][stage]["outs"]}


def recorded(lock: Lock, path: str, md5: str) -> None:
    """Note the hash wherever a stage of dvc.lock makes or reads the file."""
    for stage in lock["stages"].values():
        for item in (*stage["deps"], *stage.get("outs", ())):
            if item["path"] == path:
                item["md5"] = md5


def written(folder: Path, path: str, text: str) -> Callable[[Lock], None]:
    """Write a file; what is returned has dvc.lock vouch for it."""
    (folder / path).write_text(text)
    return lambda lock: recorded(lock, path, hashlib.md5(text.encode()).hexdigest())


def relocked(folder: Path, *changes: Callable[[Lock], None]) -> None:
    lock = locked(folder)
    for change in changes:
        change(lock)
    with (folder / "dvc.lock").open("w") as file:
        YAML(typ="safe").dump(lock, file)


def scored(folder: Path, fid: float) -> Callable[[Lock], None]:
    """gan has that FID."""
    metrics = json.loads((folder / METRICS).read_text())
    metrics["classifier"]["fid"] = fid
    return written(folder, METRICS, json.dumps(metrics))


def seeded(seed: int, *stages: str) -> Callable[[Lock], None]:
    def change(lock: Lock) -> None:
        for stage in stages or (
            f"{s}@digits-gan" for s in ("train", "select", "sample", "evaluate")
        ):
            lock["stages"][stage]["params"]["params.yaml"]["seed"] = seed

    return change


def kept(folder: Path, name: str, date: str = "2026-01-02T03:04:05Z") -> str:
    """An experiment of what lies there, as DVC keeps it: a commit, and a reference to it."""
    base = head(folder)
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", name, GIT_COMMITTER_DATE=date)
    made = head(folder)
    run(folder, "git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", made)
    run(folder, "git", "reset", "-q", "--hard", base)
    return base


# The zoo's rows.


def test_a_row_says_what_results_dvc_lock_and_mlflow_say(repository: Path, home: Path) -> None:
    rows = collected(zoo, repository)
    assert seen(rows) == [("dcgan", 0), ("gan", 0)]
    for row in rows:
        results = repository / "results/digits" / row["model"]
        metrics = json.loads((results / "metrics.json").read_text())
        assert row["scores"]["classifier"]["fid"] == metrics["classifier"]["fid"]
        assert row["scores"]["pixels"] == metrics["pixels"]
        assert "histogram" not in row["scores"]["classifier"] and row["images"] == 200
        floor = json.loads((repository / "results/digits/floor.json").read_text())
        assert row["floor"]["classifier"]["recall"] == floor["classifier"]["recall"]
        assert (row["dataset"], row["commit"], row["changed"]) == ("digits", head(repository), {})
        folder = f"models/digits/{row['model']}/generator"
        assert row["generator"] == outs(repository, f"train@digits-{row['model']}")[folder]
        assert (row["epochs"], row["iterations"]) == (2, 34)
        with (results / "selection.csv").open() as file:
            checkpoints = list(csv.DictReader(file))
        best = min(checkpoints, key=lambda each: float(each["fid"]))
        assert row["epoch"] == int(best["epoch"])
        assert row["curve"]["iteration"] == [17, 34]
        assert row["curve"]["fid"] == [float(each["fid"]) for each in checkpoints]
        with sqlite3.connect(repository / "mlflow.db") as store:
            [[speed]] = store.execute(
                "select m.value from metrics m join tags t on m.run_uuid = t.run_uuid where "
                f"m.key = 'iterations_per_second' and t.value = '{row['generator']}'"
            ).fetchall()
        assert row["iterations_per_second"] == pytest.approx(speed, rel=0.01)
        assert row["minutes"] == pytest.approx(34 / speed / 60, abs=1e-3)
        assert row["curve"]["minutes"] == pytest.approx(
            [17 / speed / 60, 34 / speed / 60], abs=1e-3
        )
        assert row["hardware"] == provenance.hardware("cpu")


def test_again_nothing_changes_also_without_the_runs(
    repository: Path, clone: Path, home: Path
) -> None:
    collected(zoo, repository)
    before = (home / "docs/zoo.json").read_bytes()
    collected(zoo, repository)
    assert (home / "docs/zoo.json").read_bytes() == before
    collected(zoo, clone)  # which knows no speed
    assert (home / "docs/zoo.json").read_bytes() == before
    (home / "docs/zoo.json").unlink()
    assert all("minutes" not in row | row["curve"] for row in collected(zoo, clone))


def test_parameters_unlike_those_of_params_yaml_are_named(clone: Path, home: Path) -> None:
    edit(home, datasets__digits__models={"gan": {"epochs": 3, "checkpoint_every": 1}})
    edit(home, evaluate__images=1000, models__gan__penalties={"r1": 0.5}, seed=7)
    assert {row["model"]: row["changed"] for row in collected(zoo, clone)} == {
        "dcgan": {"epochs": 2, "evaluate.images": 200},
        "gan": {"epochs": 2, "penalties.r1": None, "evaluate.images": 200},
    }


def test_seeds_are_read_from_the_experiments_of_the_cluster(clone: Path, home: Path) -> None:
    relocked(clone, scored(clone, 12.5), seeded(1))
    base = kept(clone, "cluster-seed-1")
    relocked(clone, scored(clone, 99.0), seeded(2))
    kept(clone, "other")
    rows = collected(zoo, clone)
    assert seen(rows) == [("dcgan", 0), ("gan", 0), ("gan", 1)]
    gan, other = rows[1:]
    assert other["scores"]["classifier"]["fid"] == 12.5 != gan["scores"]["classifier"]["fid"]
    assert other["commit"] == gan["commit"] == base and other["alike"] == gan["alike"]
    assert tables.apart(rows) == []


def test_of_two_experiments_of_a_seed_the_newer_counts(clone: Path, home: Path) -> None:
    bases = [head(clone)]
    run(clone, "git", "commit", "-q", "--allow-empty", "-m", "later")
    bases.append(head(clone))
    # Git lists them the other way round.
    for day, base in enumerate(sorted(bases, reverse=True), 1):
        run(clone, "git", "checkout", "-q", "--detach", base)
        relocked(clone, scored(clone, 10.0 + day), seeded(1))
        kept(clone, "cluster-seed-1", f"2026-01-0{day}T00:00:00Z")
    row = collected(zoo, clone)[-1]
    assert (row["commit"], row["scores"]["classifier"]["fid"]) == (min(bases), 12.0)


def test_a_row_of_another_commit_takes_the_place_of_the_older(
    clone: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    relocked(clone, scored(clone, 50.0), seeded(1))
    kept(clone, "cluster-seed-1")
    before = collected(zoo, clone)
    path = clone / "stages/evaluate.py"
    code = written(clone, "stages/evaluate.py", path.read_text() + "\n")
    relocked(clone, code, scored(clone, 60.0))
    commit(clone, "another")
    after = collected(zoo, clone)
    assert seen(after) == seen(before) == [("dcgan", 0), ("gan", 0), ("gan", 1)]
    assert [row["commit"] == head(clone) for row in after] == [True, True, False]
    assert after[1]["scores"]["classifier"]["fid"] == 60.0 and after[2] == before[2]
    # A seed that other code has scored is no seed of this.
    assert tables.apart(before) == [] and tables.apart(after) == [after[2]]
    assert "digits-gan, seed 1: code, data or parameters" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("scores", f"{METRICS} is not what dvc.lock records"),
        ("checkpoints", "selection.csv is not what dvc.lock records"),
        ("floor", "results/digits/floor.json is not the one that evaluate@digits-gan knew"),
        ("generator", "select@digits-gan ran on another models/digits/gan/generator"),
        ("seeds", "its stages ran with different seeds"),
        ("code", "made by other code than commit"),
        ("recipe", "for which betas of a recipe was otherwise"),
    ],
)
def test_what_dvc_lock_does_not_vouch_for_is_left_out(
    clone: Path, home: Path, wrong: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def trained(lock: Lock) -> None:
        for out in lock["stages"]["train@digits-gan"]["outs"]:
            out["md5"] = out["md5"].replace("0", "1")

    def earlier(lock: Lock) -> None:
        del lock["stages"]["train@digits-gan"]["params"]["params.yaml"]["models.gan"]["betas"]

    if wrong == "scores":
        scored(clone, 1.0)
    if wrong == "checkpoints":
        (clone / "results/digits/gan/selection.csv").unlink()
    if wrong == "floor":
        relocked(clone, lambda lock: recorded(lock, "results/digits/floor.json", "0" * 32))
    if wrong == "generator":
        relocked(clone, trained)
    if wrong == "seeds":
        relocked(clone, seeded(1, "select@digits-gan"))
    if wrong == "code":
        path = clone / "ganvas/training/objectives/non_saturating.py"
        path.write_text(path.read_text() + "\n")
        commit(clone, "edit")
    if wrong == "recipe":
        relocked(clone, earlier)
    rows = collected(zoo, clone)
    both = wrong in ("floor", "code")
    assert seen(rows) == ([] if both else [("dcgan", 0)])
    [line] = [each for each in capsys.readouterr().err.splitlines() if "digits-gan" in each]
    assert line.startswith("left out: digits-gan, seed 0: ") and said in line


def test_a_model_that_was_trained_anew_on_disk_is_left_out(repository: Path, home: Path) -> None:
    [path, *_] = (repository / "models/digits/gan/generator").glob("*.safetensors")
    try:
        path.rename(home / path.name)
        assert seen(collected(zoo, repository)) == [("dcgan", 0)]
    finally:
        (home / path.name).rename(path)


@pytest.mark.parametrize("program", [zoo, search])
def test_bad_input_is_told_in_a_line(program: Any, clone: Path, home: Path) -> None:
    with pytest.raises(
        SystemExit, match=r"^error: .*/nowhere: no such folder; name a clone[^\n]+$"
    ):
        collected(program, home / "nowhere")
    with pytest.raises(SystemExit, match=r"^error: .*/home: no repository of git[^\n]+$"):
        collected(program, home)
    with pytest.raises(SystemExit, match=r"^error: .*/ganvas: has no dvc\.yaml[^\n]+$"):
        collected(program, clone / "ganvas")
    name = program.__name__.partition(".")[2]
    (home / "docs").mkdir()
    (home / f"docs/{name}.json").write_text("{")
    with pytest.raises(SystemExit, match=rf"^error: docs/{name}\.json: not the JSON[^\n]+$"):
        collected(program, clone)


# The steps of a search.


def step(folder: Path, name: str, date: str, fids: tuple[float, float], **values: Any) -> None:
    """An experiment with other parameters and other checkpoints of gan."""
    edit(folder, **values)
    lines = ["epoch,iteration,fid,generator_loss"]
    lines += [f"{epoch},{17 * epoch},{fid},0.5" for epoch, fid in enumerate(fids, 1)]
    relocked(folder, written(folder, "results/digits/gan/selection.csv", "\n".join(lines)))
    kept(folder, name, date)


def test_steps_stand_in_the_order_in_which_they_were_made(clone: Path, home: Path) -> None:
    dates = [f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3)]
    step(clone, "zero", dates[0], (9.0, 7.5), models__gan__lr_generator=0.5)
    step(clone, "one", dates[2], (4.0, 5.0), models__gan__penalties={"r1": 2.0}, select__images=9)
    step(clone, "late", dates[1], (8.0, 6.5), datasets__digits__models__gan__latent_dim=7)
    relocked(clone, scored(clone, 3.0), seeded(1))
    kept(clone, "cluster-seed-1")
    run(clone, "git", "update-ref", "refs/exps/exec/EXEC_HEAD", "HEAD")
    rows = collected(search, clone)
    assert [row["name"] for row in rows] == ["zero", "late", "one"]
    # gan_k3 and others take gan's recipe over, and are none of the search.
    assert [row["changed"] for row in rows] == [
        {"lr_generator": 0.5},
        {"latent_dim": 7},
        {"penalties.r1": 2.0, "select.images": 9},
    ]
    assert [(row["fid"], row["epoch"], row["last_fid"]) for row in rows] == [
        (7.5, 2, 7.5),
        (6.5, 2, 6.5),
        (4.0, 1, 5.0),
    ]
    assert {(row["dataset"], row["model"], row["commit"]) for row in rows} == {
        ("digits", "gan", head(clone))
    }
    assert {(row["epochs"], row["iterations"]) for row in rows} == {(2, 34)}
    own = {"epochs": 2, "checkpoint_every": 1}  # of gan on digits
    began = {"model": "gan_k3", "changed": {"discriminator_steps": 1} | own}
    assert all(row["origin"] == began for row in rows)
    # What git has no longer stays, and another of its name takes its place.
    run(clone, "git", "update-ref", "-d", f"refs/exps/{head(clone)[:2]}/{head(clone)[2:]}/zero")
    step(clone, "one", "2026-01-04T00:00:00Z", (2.5, 3.0))
    rows = collected(search, clone)
    assert [(row["name"], row["fid"]) for row in rows] == [
        ("zero", 7.5),
        ("late", 6.5),
        ("one", 2.5),
    ]
    for page in PAGES:
        text = steps.block(page, showcase.Results({}, {}, search=rows))
        lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:1] == "|"]
        assert {len(line) for line in lines} == {9}
        assert "`gan_k3`" in text and text.count("`discriminator_steps: 1`") == 1
        assert [line[0] for line in lines[2:]] == ["zero", "late", "one"]
        assert lines[3][1:3] == ["Digits", "`latent_dim: 7`"]
        assert lines[3][3:] == ["2", "34", "–", "6.500", "2", "6.500"]
        assert lines[4][6:] == ["2.500", "1", "3.000"]
        # What began otherwise stands below what it began with.
        other = {"model": "lsgan", "changed": {}}
        mixed = [rows[0], rows[1] | {"origin": other}, rows[2]]
        text = steps.block(page, showcase.Results({}, {}, search=mixed))
        order = ["`gan_k3`", "| zero", "| one", "`lsgan`", "| late"]
        assert sorted(order, key=text.index) == order
        assert text.count("\n\n| ") == 2


def test_minutes_of_a_step_are_those_of_the_run_that_trained(repository: Path, home: Path) -> None:
    step(repository, "noted", "2026-01-01T00:00:00Z", (2.0, 1.0), evaluate__images=7)
    [row] = collected(search, repository)
    assert row["minutes"] == pytest.approx(34 / row["iterations_per_second"] / 60, abs=1e-3)
    assert row["curve"]["minutes"][-1] == row["minutes"]


# Tables and chart.


def made_up(model: str, seed: int, fid: float, dataset: str = "mnist", **scores: float) -> Row:
    all_scores = {"fid": fid, "precision": 0.8, "recall": 0.5, "coverage": 0.25, "modes_covered": 9}
    iterations = [1000, 2000, 4000]
    floor = {"fid": 1.5, "precision": 0.95, "recall": 0.9, "coverage": 0.85, "modes_covered": 10}
    return {
        "dataset": dataset,
        "model": model,
        "seed": seed,
        "commit": "c" * 40,
        "alike": "as ever",
        "changed": {},
        "iterations_per_second": 20.0 * (seed + 1),
        "minutes": 4000 / 1200 / (seed + 1),
        "hardware": "a processor",
        "generator": f"{model} {seed}",
        "images": 10000,
        "extractor": "classifier",
        "scores": {"classifier": all_scores | scores},
        "floor": {"classifier": floor | {"class_accuracy": 0.99, "class_fid": 2.5}},
        "curve": {
            "iteration": iterations,
            "fid": [fid * times for times in (9.0, 3.0, 1.1)],
            "minutes": [each / 1200 / (seed + 1) for each in iterations],
        },
    }


ROWS = [
    made_up("gan", 0, 40.0),
    made_up("gan", 1, 20.0),
    made_up("best", 0, 29.0),
    made_up("cgan", 0, 35.0, class_accuracy=0.875, class_fid=50.0),
    made_up("dcgan", 0, 31.5, "digits"),
]
RESULTS = showcase.Results({}, {}, ROWS)


def lines_of(text: str, dataset: str) -> list[list[str]]:
    """The rows of a data set's table, without its head."""
    section = text.split("\n### ")[1 + ["mnist", "digits"].index(dataset)]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_a_table_ranks_by_the_mean_over_seeds() -> None:
    told = lines_of(tables.block(PAGES[0], RESULTS), "mnist")
    scores = ["80.0 %", "50.0 %", "25.0 %", "9"]
    assert told == [
        ["1", "`best`", "29.00", "1", *scores, "–", "–", "20.0", "3.33"],
        ["2", "`gan`", "30.00 ± 14.14", "2", *scores, "–", "–", "30.0", "2.50"],
        ["3", "`cgan`", "35.00", "1", *scores, "87.5 %", "50.00", "20.0", "3.33"],
        [
            "",
            "real images",
            "1.500",
            "",
            "95.0 %",
            "90.0 %",
            "85.0 %",
            "10",
            "99.0 %",
            "2.500",
            "",
            "",
        ],
    ]
    assert statistics.stdev([40.0, 20.0]) == pytest.approx(14.14, abs=0.01)
    # Where no recipe is told classes there are no columns of them.
    assert [len(line) for line in lines_of(tables.block(PAGES[0], RESULTS), "digits")] == [10, 10]


def test_what_is_not_known_is_a_dash_and_what_was_changed_is_named() -> None:
    row = made_up("gan", 0, 40.0) | {"changed": {"epochs": 3}}
    row = {
        key: value for key, value in row.items() if key not in ("minutes", "iterations_per_second")
    }
    row["curve"] = {key: row["curve"][key] for key in ("iteration", "fid")}
    results = showcase.Results({}, {}, [row])
    text = tables.block(PAGES[0], results)
    assert lines_of(text, "mnist")[0][1] == "`gan`, `epochs: 3`"
    assert lines_of(text, "mnist")[0][-2:] == ["–", "–"]
    assert "zoo.png" not in text and not tables.timed([row])


def test_both_languages_say_the_same() -> None:
    for words in (tables.WORDS, steps.WORDS):
        assert words["en"].keys() == words["vi"].keys()
        for key in words["en"]:
            fields = [re.findall(r"{\w*}| \| ", words[language][key]) for language in ("en", "vi")]
            assert sorted(fields[0]) == sorted(fields[1])
    english, vietnamese = (tables.block(page, RESULTS) for page in PAGES)
    assert lines_of(english, "mnist")[:3] == lines_of(vietnamese, "mnist")[:3]
    for text in (english, vietnamese):
        assert "](images/zoo.png)" in text and "`cccccccccccc`" in text and "a processor" in text


def test_publish_writes_the_blocks_and_the_chart(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("docs", "results"):
        shutil.copytree(root / name, tmp_path / name)
    for name in ("README.md", "README.vi.md", "params.yaml"):
        shutil.copy(root / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("docs/zoo.json").write_text(json.dumps(ROWS))
    Path("docs/search.json").unlink(missing_ok=True)
    publication.write(config.load(), tables_only=True)
    assert Path("docs/images/zoo.png").read_bytes() == tables.chart(ROWS)
    for page in PAGES:
        text = Path(page.name).read_text()
        block = tables.block(page, RESULTS)
        assert f"<!-- zoo -->\n{block}\n<!-- /zoo -->" in text and "<!-- search -->\n\n<" in text
        titles = re.findall(r"^#+ (.+)", text, re.MULTILINE)
        assert len({*titles}) == len(titles) and set(re.findall(r"^#+ (.+)", block)) <= {*titles}


def test_without_rows_blocks_are_empty() -> None:
    for page in PAGES:
        nothing = showcase.Results({}, {})
        assert tables.block(page, nothing) == steps.block(page, nothing) == ""


@pytest.fixture(scope="module")
def figure() -> Figure:
    """The chart of sixteen recipes that end close to each other, and of two, before it is bytes."""
    chance = random.Random(0)
    rows = [made_up(f"recipe_{at:02}", 0, chance.uniform(20, 30)) for at in range(16)]
    rows += [made_up("recipe_00", seed, 5.0, "fashion_mnist") for seed in (0, 1)]
    rows += [made_up("other", 0, 5.0, "fashion_mnist")]
    kept: list[Figure] = []
    save = Figure.savefig

    def keep(self: Figure, *arguments: Any, **settings: Any) -> None:
        kept.append(self)
        save(self, *arguments, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", keep)
        tables.chart(rows)
    return kept[0]


def test_the_chart_has_a_panel_for_each_data_set_and_a_line_for_each_seed(figure: Figure) -> None:
    first, second = figure.axes
    assert [axes.get_title() for axes in (first, second)] == ["MNIST", "Fashion-MNIST"]
    for axes in (first, second):
        assert axes.get_xscale() == axes.get_yscale() == "log"
    lines = [line for line in second.lines if len(line.get_xdata()) > 1]
    assert [list(line.get_ydata()) for line in lines] == [pytest.approx([45.0, 15.0, 5.5])] * 3
    minutes = sorted(list(line.get_xdata())[-1] for line in lines)
    assert minutes == pytest.approx([4000 / 2400, 4000 / 1200, 4000 / 1200])
    # A recipe has its colour in every panel, and no two of a panel have the same.
    colours = {line.get_color() for line in first.lines}
    assert len(colours) == 16

    def labelled(axes: Any) -> dict[str, str]:
        return {text.get_text(): text.get_color() for text in axes.texts}

    assert labelled(second)["recipe_00"] == labelled(first)["recipe_00"]
    assert set(labelled(first).values()) == colours


def test_labels_overlap_neither_each_other_nor_the_lines(figure: Figure) -> None:
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axes in figure.axes:
        texts = [text for text in axes.texts if isinstance(text, Annotation)]
        # Of the words alone, without what leads to them.
        boxes = [Text.get_window_extent(text, renderer) for text in texts]
        boxes.sort(key=lambda box: box.y0)
        assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))
        assert all(box.x0 > axes.bbox.x1 and box.x1 < figure.bbox.x1 for box in boxes)
        assert boxes[0].y0 > axes.bbox.y0 - 10 and boxes[-1].y1 < axes.bbox.y1 + 10
        # Each is led to from where its line ends.
        ends = {
            line.get_color(): axes.transData.transform((line.get_xdata()[-1], line.get_ydata()[-1]))
            for line in reversed(axes.lines)
        }
        for text in texts:
            place = axes.transAxes.transform(text.xy)
            assert place == pytest.approx(ends[text.get_color()], abs=0.5)


def test_the_chart_is_the_same_bytes_and_of_a_pages_width() -> None:
    before = tables.chart(ROWS)
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 20, "axes.facecolor": "red"}):
        assert tables.chart([*reversed(ROWS)]) == before
    with Image.open(io.BytesIO(before)) as picture:
        assert picture.width == 1080 and picture.info.keys() <= {"dpi"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([10.0, 50.0], [10.0, 50.0]),  # room enough
        ([20.0, 20.0, 20.0], [10.0, 20.0, 30.0]),
        ([20.0, 24.0, 80.0], [17.0, 27.0, 80.0]),
        ([0.0, 1.0], [0.0, 10.0]),  # at the edge
        ([99.0, 99.0], [90.0, 100.0]),
        ([40.0, 41.0, 53.0, 54.0], [32.0, 42.0, 52.0, 62.0]),  # two groups that meet
    ],
)
def test_labels_are_as_near_to_their_places_as_may_be(
    wanted: list[float], expected: list[float]
) -> None:
    assert tables.spread(wanted, 10.0, 100.0) == pytest.approx(expected)
