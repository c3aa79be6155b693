"""The results that are committed, and the commands that keep the pages in step with them."""

import hashlib
import json
import re
import shutil
import sqlite3
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest
from repositories import commit, edit, run
from ruamel.yaml import YAML

from ganvas import config
from ganvas.reporting import scoreboard
from ganvas.workflow import freshness, pipeline, publication

ROOT = Path(__file__).parents[1]
FRESHNESS = ("python", "-m", "ganvas", "freshness")
PUBLISH = ("python", "-m", "ganvas", "publish")
PAGES = publication.NAMES
TABLES = ("docs/results.md", "docs/results.vi.md")
LINKED = """
import json
from ganvas import config
from ganvas.workflow import instances, pipeline

print(json.dumps({
    f"train@{instance.name}": pipeline.code_hashes("train", instance)
    for instance in instances.matrix(config.load())
}))
"""
PICTURE_BYTES = 1_500_000  # all of docs/images


def head(folder: Path) -> str:
    return run(folder, "git", "rev-parse", "HEAD").stdout.strip()


def locked(folder: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load((folder / "dvc.lock").read_text())["stages"])


def facts(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "docs/results.json").read_text()))


def scores(folder: Path, model: str) -> dict[str, Any]:
    return dict(json.loads((folder / f"results/digits/{model}/metrics.json").read_text()))


def written(folder: Path) -> dict[str, bytes]:
    """What publish writes, by path."""
    found = {*(folder / "docs").rglob("*"), *(folder / name for name in PAGES)}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.is_file()
    }


@pytest.fixture(scope="module")
def published(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny repository with pages, made at one commit, one more seed of gan, published."""
    folder = tmp_path_factory.mktemp("published") / "repository"
    shutil.copytree(repository, folder, symlinks=True)
    run(folder, "git", "checkout", "-q", "HEAD", "--", ".")
    for name in PAGES:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    commit(folder, "pages")
    run(folder, "dvc", "repro", "-q")
    # The second is of two seeds: scored with what seed 0 drew.
    for seed, target in ((1, "evaluate@digits-gan"), (2, "train@digits-gan")):
        run(folder, "dvc", "exp", "run", "--temp", "-S", f"seed={seed}", target)
    run(folder, *PUBLISH)
    commit(folder, "results")
    return folder


@pytest.fixture
def folder(published: Path) -> Path:
    """`published` as it was committed, with everything on disk."""
    run(published, "git", "checkout", "-q", "HEAD", "--", ".")
    run(published, "git", "clean", "-fdq")
    return published


@pytest.fixture
def clone(folder: Path, tmp_path: Path) -> Path:
    """What git brings of it: no data, no models, no cache, no MLflow."""
    run(tmp_path, "git", "clone", "-q", str(folder), "clone")
    return tmp_path / "clone"


# The committed results. What can be wrong with them is tried on the tiny repository.


@pytest.fixture(params=["committed", "tiny"])
def results(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A clone of a repository with results: of this one, and of the tiny one.

    Not this folder itself: where `make quickstart` has run on other hardware, what lies here is
    other than what is committed.
    """
    if request.param == "tiny":
        tiny: Path = request.getfixturevalue("clone")
        return tiny
    if not (ROOT / ".git").exists():
        pytest.skip("NOT TESTED: the committed results, since this is no git clone")
    run(tmp_path, "git", "clone", "-q", str(ROOT), "committed")
    return tmp_path / "committed"


def misfits(folder: Path) -> list[str]:
    """Files in results/ that dvc.lock has otherwise, or not at all, and those that it has alone."""
    outs = {
        item["path"]: item["md5"] for entry in locked(folder).values() for item in entry["outs"]
    }
    recorded = {path: md5 for path, md5 in outs.items() if path.startswith("results/")}
    there = {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in (folder / "results").rglob("*")
        if path.is_file()
    }
    assert recorded
    return sorted(p for p in recorded.keys() | there.keys() if recorded.get(p) != there.get(p))


def outdated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pages whose tables are not those of the results."""
    monkeypatch.chdir(folder)
    pages = publication.pages(config.load(), freshness.published())
    return [name for name, text in pages.items() if (folder / name).read_text() != text]


def test_every_result_has_the_hash_that_dvc_lock_records(results: Path) -> None:
    assert misfits(results) == []


def test_the_tables_are_those_of_the_results(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outdated(results, monkeypatch) == []


def test_a_result_or_a_table_that_was_edited_is_found(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clone / "results/digits/gan/metrics.json"
    changed = {**scores(clone, "gan"), "images": 12345}
    path.write_text(json.dumps(changed))
    (clone / "results/digits/extra.json").write_text("{}")
    (clone / "results/digits/floor.json").rename(clone / "results/digits/flor.json")
    found = ["extra.json", "floor.json", "flor.json", "gan/metrics.json"]
    assert misfits(clone) == [f"results/digits/{name}" for name in found]
    run(clone, "git", "checkout", "-q", ".")
    assert outdated(clone, monkeypatch) == []
    path.write_text(json.dumps(changed))
    assert outdated(clone, monkeypatch) == list(TABLES)
    changed["classifier"]["fid"] += 1
    path.write_text(json.dumps(changed))
    assert outdated(clone, monkeypatch) == list(PAGES)
    run(clone, "git", "checkout", "-q", ".")
    page = clone / TABLES[1]
    page.write_text(page.read_text().replace("| classifier |", "| klassifier |", 1))
    assert outdated(clone, monkeypatch) == [TABLES[1]]


def test_the_commit_that_is_named_holds_the_code_that_made_them(results: Path) -> None:
    made = facts(results)
    assert made["dvc_lock"] == hashlib.md5((results / "dvc.lock").read_bytes()).hexdigest()
    if run(results, "git", "cat-file", "-e", made["commit"], check=False).returncode:
        pytest.skip(f"NOT TESTED: this clone's history does not reach back to {made['commit']}")
    outs = {item["path"] for entry in locked(results).values() for item in entry["outs"]}
    code = {
        item["path"]: item["md5"]
        for entry in locked(results).values()
        for item in entry["deps"]
        if item["path"].endswith((".py", ".j2", ".yaml")) and item["path"] not in outs
    }
    assert "stages/train.py" in code and "params.yaml" in code
    for path, md5 in code.items():
        content = run(results, "git", "show", f"{made['commit']}:{path}").stdout
        assert hashlib.md5(content.encode()).hexdigest() == md5, path
    # Of each model's parts dvc.lock, committed after the code, has a hash of the folder of links,
    # which the code of that commit knows how to compute.
    recorded = pipeline.locked((results / "dvc.lock").read_text())
    run(results, "git", "checkout", "-q", made["commit"])
    told = run(results, sys.executable, "-c", LINKED, PYTHONPATH=str(results)).stdout
    run(results, "git", "checkout", "-q", "-")
    assert len(json.loads(told)) > 1
    for stage, computed in json.loads(told).items():
        deps = recorded[stage].deps
        parts = {dep: md5 for dep, md5 in deps.items() if dep.startswith("data/recipes/")}
        assert len(parts) > 1
        assert parts == {dep: computed[dep] for dep in parts}


def test_every_picture_is_shown_and_all_are_small(results: Path) -> None:
    there = {path.name for path in (results / "docs/images").iterdir()}
    for vietnamese in (False, True):
        pages = [results / name for name in PAGES if name.endswith(".vi.md") == vietnamese]
        text = "".join(page.read_text() for page in pages)
        named = set(re.findall(r"\]\((?:docs/)?images/([^)]+)\)", text))
        if results.name == "committed":
            assert named == there
        else:  # the pages name a picture of translations, which the tiny repository does not make
            assert there <= named
    assert sum(path.stat().st_size for path in (results / "docs/images").iterdir()) < PICTURE_BYTES


# A fresh clone.


def test_a_fresh_clone_lacks_only_what_is_in_no_cache(clone: Path) -> None:
    status = json.loads(run(clone, "dvc", "status", "--json").stdout)
    made = {item["path"] for entry in locked(clone).values() for item in entry["outs"]}
    assert status  # data and models are nowhere
    for stage, changes in status.items():
        for change in changes:
            assert change.keys() <= {"changed deps", "changed outs"}, (stage, change)
            for path, state in change.get("changed deps", {}).items():
                # What another stage makes; DVC names it once more where it is read.
                assert state == "deleted", (stage, path, state)
                assert any(f"{path}/".startswith(f"{out}/") or out.startswith(path) for out in made)
            for path, state in change.get("changed outs", {}).items():
                assert state in ("not in cache", "deleted"), (stage, path, state)
                assert not path.startswith("results/"), (stage, path)


def test_a_fresh_clone_knows_its_commit_and_writes_the_same_tables(clone: Path) -> None:
    lines = run(clone, *FRESHNESS).stdout.splitlines()
    parent = run(clone, "git", "rev-parse", "HEAD~1").stdout.strip()
    assert lines[0].startswith(f"results made at commit {parent}, ")
    assert lines[1:] == ["all 14 stages are as they were made"]
    before = written(clone)
    run(clone, *PUBLISH, "--tables")
    assert written(clone) == before
    for name in PAGES:
        page = clone / name
        text = page.read_text()
        page.write_text(
            text.replace("| classifier |", "| klassifier |").replace("(FID): ", "(FID) ")
        )
        assert page.read_text() != text
    run(clone, *PUBLISH, "--tables")
    assert written(clone) == before


# Freshness.


def moved(folder: Path) -> dict[str, set[str]]:
    """What freshness says has moved, by stage."""
    lines = run(folder, *FRESHNESS).stdout.splitlines()[1:-1]
    found = (line.split(": ") for line in lines)
    # A part of a model has its files in brackets.
    return {stage: set(re.split(r", (?![^(]*\))", what)) for stage, what in found}


def moved_for_dvc(folder: Path) -> dict[str, set[str]]:
    """The same in DVC's own words, where everything is on disk."""
    found: dict[str, set[str]] = {}
    for stage, changes in json.loads(run(folder, "dvc", "status", "--json").stdout).items():
        for change in changes:
            if change == "changed command":
                found.setdefault(stage, set()).add("its command")
                continue
            # An output of another kind: links, to code that the models' stages name.
            assert change.get("changed outs", {}).keys() <= {"data/recipes"}
            for path, state in change.get("changed deps", {}).items():
                what = set(state) if path == "params.yaml" and isinstance(state, dict) else {path}
                found.setdefault(stage, set()).update(what)
    return found


def in_dvcs_words(stage: str, what: set[str]) -> set[str]:
    """A model's part, which freshness names with its files, as the folder that DVC looks at."""
    folder = f"data/recipes/{stage.partition('@')[2].replace('-', '/')}"
    return {f"{folder}/{name.partition(' ')[0]}" if " (" in name else name for name in what}


@pytest.mark.parametrize(
    ("module", "some"),
    [
        ("ganvas/evaluation/metrics/kernel.py", "evaluate@digits-gan"),
        ("ganvas/training/engine.py", "train@digits-dcgan"),
        ("stages/sample.py", "sample@digits-gan"),
        ("ganvas/reporting/templates/report.html.j2", "report@digits"),
    ],
)
def test_an_edited_file_moves_the_stages_that_list_it(folder: Path, module: str, some: str) -> None:
    path = folder / module
    path.write_text(path.read_text() + "\n")
    found = moved(folder)
    assert found == moved_for_dvc(folder)
    assert found[some] == {module} and len(found) < 14


def test_an_edited_network_moves_the_models_that_are_built_of_it(folder: Path, clone: Path) -> None:
    said = {"network (ganvas/networks/_blocks.py, ganvas/networks/dcgan.py)"}
    for place in (folder, clone):  # the clone has no links
        path = place / "ganvas/networks/dcgan.py"
        path.write_text(path.read_text() + "\n")
        found = moved(place)
        assert found == {f"{stage}@digits-dcgan": said for stage in ("train", "select", "sample")}
    assert not (clone / "data").exists()
    in_words = {stage: in_dvcs_words(stage, what) for stage, what in found.items()}
    assert in_words == moved_for_dvc(folder)


def test_an_edited_part_of_all_models_moves_them_all(clone: Path) -> None:
    path = clone / "ganvas/training/objectives/non_saturating.py"
    path.write_text(path.read_text() + "\n")
    linked = ("methods/adversarial", "objectives/non_saturating", "optimizers/adam")
    said = {f"training ({', '.join(f'ganvas/training/{name}.py' for name in linked)})"}
    assert moved(clone) == {f"train@digits-{model}": said for model in ("gan", "dcgan")}


def test_an_edited_parameter_moves_the_stages_that_read_it(folder: Path) -> None:
    edit(folder, models__dcgan__lr_generator=1e-4)
    found = moved(folder)
    assert found == {"params": {"params.yaml"}, "train@digits-dcgan": {"models.dcgan.lr_generator"}}
    # DVC names the key that dvc.yaml lists, not the one below it.
    of_dvc = {
        stage: {"models.dcgan.lr_generator"} if stage.startswith("train") else what
        for stage, what in moved_for_dvc(folder).items()
    }
    assert found == of_dvc


def test_an_edited_command_dependency_or_list_of_models_is_named(folder: Path) -> None:
    path = folder / "dvc.yaml"
    text = path.read_text()
    changed = text.replace("cmd: python -m stages.report ", "cmd: python -m  stages.report ")
    changed = changed.replace("      - ganvas/reporting/card.py\n", "")
    path.write_text(changed)
    assert changed != text
    assert moved(folder) == {"report@digits": {"ganvas/reporting/card.py", "its command"}}
    path.write_text(text)
    edit(folder, matrix__datasets=["digits", "mnist"])
    found = moved(folder)
    assert found["train@mnist-gan"] == {"never made"} and "train@digits-gan" not in found


def test_before_anything_is_made_or_published_it_says_so(folder: Path) -> None:
    (folder / "docs/results.json").unlink()
    assert "make publish" in run(folder, *FRESHNESS).stdout.splitlines()[0]
    (folder / "dvc.lock").unlink()
    assert run(folder, *FRESHNESS).stdout == "no results yet: `dvc repro` makes them\n"


def test_a_lock_that_was_not_published_is_not_said_to_be_of_the_commit(folder: Path) -> None:
    path = folder / "dvc.lock"
    path.write_text(path.read_text() + "# another\n")
    first = run(folder, *FRESHNESS).stdout.splitlines()[0]
    assert "not published" in first and facts(folder)["commit"] not in first


# Publishing.


def test_published_twice_is_the_same_bytes(folder: Path) -> None:
    before = written(folder)
    for path in (folder / "docs/images").iterdir():
        path.unlink()
    run(folder, *PUBLISH)
    assert written(folder) == before


def test_it_shows_the_scores_of_results(folder: Path) -> None:
    page = (folder / TABLES[0]).read_text()
    floor = json.loads((folder / "results/digits/floor.json").read_text())["classifier"]
    of_models = [scores(folder, model)["classifier"] for model in ("gan", "dcgan")]
    [row] = re.findall(r"^\| Fréchet distance \(FID\) ↓ \|.*$", page, re.MULTILINE)
    cells = [cell.strip(" *") for cell in row.split("|")[3:-1]]
    shown = [float(cell.split(" ± ")[0].replace(",", "")) for cell in cells]
    assert shown == pytest.approx([of["fid"] for of in (floor, *of_models)], rel=5e-3)
    better = min(of_models, key=lambda of: float(of["fid"]))
    assert row.count("**") == 2 and f"**{scoreboard.number(better['fid'])}" in row
    measured = {*of_models[0], "memorisation"}
    titles = {m.title for key, m in scoreboard.MEASURES.items() if key in measured}
    assert len(titles) > 10
    assert titles <= set(re.findall(r"^\| (.+?)(?: ↓| ↑| → 0) \|", page, re.MULTILINE))
    assert facts(folder)["commit"][:12] in page
    assert facts(folder)["training"]["digits"]["gan"]["hardware"] in page


def test_training_time_is_that_of_the_run_that_trained_the_generator(folder: Path) -> None:
    generator = next(
        out["md5"]
        for out in locked(folder)["train@digits-dcgan"]["outs"]
        if out["path"].endswith("/generator")
    )
    with sqlite3.connect(folder / "mlflow.db") as store:
        [[speed]] = store.execute(
            "select m.value from metrics m join tags t on m.run_uuid = t.run_uuid where "
            f"m.key = 'iterations_per_second' and t.value = '{generator}'"
        ).fetchall()
    measured = facts(folder)["training"]["digits"]["dcgan"]
    assert measured["iterations_per_second"] == pytest.approx(speed, abs=0.01)
    assert measured["seconds"] == pytest.approx(34 / speed, abs=0.1)  # 2 epochs of 17
    page = (folder / TABLES[0]).read_text()
    [shown] = re.findall(
        r"^\| Training time, h:mm:ss .*\| (\d+):(\d\d):(\d\d) \|$", page, re.MULTILINE
    )
    hours, minutes, seconds = map(int, shown)
    assert 3600 * hours + 60 * minutes + seconds == round(measured["seconds"])


def test_without_the_runs_the_times_that_were_published_stay(folder: Path, tmp_path: Path) -> None:
    before = written(folder)
    elsewhere = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'none.db'}"}
    run(folder, *PUBLISH, **elsewhere)
    assert written(folder) == before
    (folder / "docs/results.json").unlink()
    done = run(folder, *PUBLISH, **elsewhere)
    assert "digits-gan: no MLflow run" in done.stdout
    assert set(facts(folder)["training"]["digits"]["gan"]) == {"generator"}
    page = (folder / TABLES[0]).read_text()
    assert re.search(r"^\| Training time.*\| – \| – \|$", page, re.MULTILINE)
    assert "trained on –," in page


def test_seeds_are_those_of_experiments_that_differ_in_nothing_else(folder: Path) -> None:
    seeds = facts(folder)["seeds"]["digits"]
    assert set(seeds["gan"]["fid"]) == {"0", "1"} and set(seeds["dcgan"]["fid"]) == {"0"}
    assert seeds["gan"]["fid"]["0"] == scores(folder, "gan")["classifier"]["fid"]
    references = run(folder, "git", "for-each-ref", "--format=%(objectname)", "refs/exps").stdout
    of_experiments = {
        json.loads(found.stdout)["classifier"]["fid"]
        for commit in references.split()
        if not (
            found := run(
                folder, "git", "show", f"{commit}:results/digits/gan/metrics.json", check=False
            )
        ).returncode
    }
    assert seeds["gan"]["fid"]["1"] in of_experiments
    assert seeds["gan"]["fid"]["1"] != seeds["gan"]["fid"]["0"]
    fids = list(seeds["gan"]["fid"].values())
    page = (folder / TABLES[0]).read_text()
    [cell] = re.findall(r"standard deviation \|  \|  \| (.+) \(0, 1\) \| – \|", page)
    shown = [float(number) for number in cell.split(" ± ")]
    assert shown[0] == pytest.approx(statistics.mean(fids), rel=1e-3)
    assert shown[1] == pytest.approx(abs(fids[0] - fids[1]) / 2**0.5, abs=1e-3)


def test_seeds_are_kept_without_the_experiments_and_dropped_when_a_score_moved(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "copy", symlinks=True)
    copy = tmp_path / "copy"
    for reference in run(
        copy, "git", "for-each-ref", "--format=%(refname)", "refs/exps"
    ).stdout.split():
        run(copy, "git", "update-ref", "-d", reference)
    before, seeds = written(copy), facts(copy)["seeds"]["digits"]["gan"]
    run(copy, *PUBLISH)
    assert written(copy) == before
    path = copy / "stages/evaluate.py"
    path.write_text(path.read_text() + "\n")
    commit(copy, "other code, the same scores")
    run(copy, "dvc", "repro", "-q")
    run(copy, *PUBLISH)
    assert facts(copy)["seeds"]["digits"]["gan"] == seeds  # their commit is the one that made them
    assert facts(copy)["commit"] == head(copy) != seeds["commit"]
    commit(copy, "published")
    edit(copy, evaluate__images=150)
    commit(copy, "other scores")
    run(copy, "dvc", "repro", "-q")
    run(copy, *PUBLISH)
    assert set(facts(copy)["seeds"]["digits"]["gan"]["fid"]) == {"0"}
    assert facts(copy)["seeds"]["digits"]["gan"]["commit"] == head(copy)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("code", "code or parameters differ from the commit"),
        ("committed", "made before the last change of evaluate@digits-gan, evaluate@digits-dcgan;"),
        ("file", "not on disk as dvc.lock records: samples/digits/gan;"),
        ("results", f"{TABLES[1]}: needs a line <!-- results -->"),
        ("first", "README.vi.md: needs a line <!-- first -->"),
    ],
)
def test_it_refuses_what_is_not_of_one_clean_commit(folder: Path, wrong: str, said: str) -> None:
    at = head(folder)
    if wrong in ("code", "committed"):
        path = folder / "stages/evaluate.py"
        path.write_text(path.read_text() + "\n")
        if wrong == "committed":
            commit(folder, "edit")
    if wrong == "file":
        (folder / "samples/digits/gan/grid.png").rename(folder / "grid.png")
    if wrong in ("results", "first"):  # marks
        page = folder / said.partition(":")[0]
        page.write_text(page.read_text().replace(f"<!-- /{wrong} -->", ""))
    before = written(folder)
    try:
        if wrong == "file":  # an untracked file is a change too
            (folder / "grid.png").rename(folder / ".git/grid.png")
        done = run(folder, *PUBLISH, check=False)
        assert done.returncode == 1 and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and said in done.stderr
        assert written(folder) == before
    finally:
        if wrong == "file":
            (folder / ".git/grid.png").rename(folder / "samples/digits/gan/grid.png")
        run(folder, "git", "reset", "-q", "--hard", at)


def test_it_refuses_where_git_does_not_answer(folder: Path) -> None:
    before = written(folder)
    untrusted = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = run(folder, *PUBLISH, check=False, **untrusted)
    assert done.returncode == 1 and written(folder) == before
    assert len(done.stderr.splitlines()) == 1 and "--add safe.directory" in done.stderr
