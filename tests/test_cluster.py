"""Many runs on a cluster: a Ray cluster of three raylets, a DVC remote, and one machine beside it.

What starts a cluster takes minutes, and needs Ray (ganvas[cluster]): one job with a remote in a
folder, and with one on S3 two recipes with three seeds, a machine that is taken away and a run that
always fails:

    GANVAS_TEST_CLUSTER=1 python -m pytest -n 0 tests/test_cluster.py
"""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import psutil
import pytest
from background import answers, free_port, serving
from filelock import FileLock
from repositories import ROOT, commit, copy, edit, environment, make, ran, run
from rich.console import Console

from ganvas import config
from ganvas.cli import cluster as command
from ganvas.workflow import cluster, paths, pipeline, remote, worker

LARGE = "GANVAS_TEST_CLUSTER"
TINY = {"epochs": 1, "checkpoint_every": 1}
MODELS = ("gan", "dcgan")
STAGES = ("train", "select", "sample", "evaluate")
RAY = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats")
SMALL_STORE = ("--object-store-memory", "80000000")
KEYS = {"AWS_ACCESS_KEY_ID": "team", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"}
GANVAS = ("python", "-m", "ganvas", "cluster")
needs_cluster = pytest.mark.skipif(
    find_spec("ray") is None or LARGE not in os.environ,
    reason=f"NOT TESTED: ray is not installed (ganvas[cluster]), or {LARGE} is not set (minutes)",
)
NOTHING = '''"""A loss that is none; each process that tries it leaves a file and tells a secret."""

import os
from pathlib import Path

PROBABILITY, PAIRED = False, False


def discriminator_loss(real_logits, fake_logits):
    file = Path("{tries}", str(os.getpid()))
    if not file.exists():
        file.touch()
        print("the key is", os.environ["AWS_SECRET_ACCESS_KEY"], flush=True)
    return (real_logits + fake_logits).mean() * float("nan")


def generator_loss(fake_logits):
    return fake_logits.mean()
'''
JOB: worker.Job = {
    "name": "evaluate@digits-gan seed 1",
    "target": "evaluate@digits-gan",
    "instance": "digits-gan",
    "seed": 1,
    "experiment": "",
    "commit": "HEAD",
    "git": "https://example.org/ganvas",
    "threads": 1,
    "save_seconds": 1.0,
}


class Cluster(NamedTuple):
    address: str
    nodes: list[Path]  # the folder for temporary files of each worker, whose log lies beside it

    def raylet(self, node: Path) -> psutil.Process:
        """The one that was started with that folder."""
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "raylet" and process.environ().get("TMPDIR") == str(node):
                return process
        raise AssertionError(f"no raylet of {node}")


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an S3 server with a bucket `dvc`, whose keys this process has."""
    if missing := [name for name in ("boto3", "moto", "s3fs") if find_spec(name) is None]:
        pytest.skip(f"NOT TESTED: {', '.join(missing)} not installed (ganvas[dev])")
    import boto3

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = [sys.executable, "-m", "moto.server", "--port", str(port)]

    def ready() -> None:
        answers(f"{url}/moto-api/")

    with serving(tmp_path / "s3.log", server, ready, env=environment()):
        boto3.resource("s3", "us-east-1", endpoint_url=url).Bucket("dvc").create()
        yield url


@pytest.fixture(scope="module")
def machines() -> Iterator[Cluster]:
    """A head without a processor for jobs, and two machines with one each."""
    port = free_port()
    # Sockets have short names: not below pytest's folder.
    with tempfile.TemporaryDirectory(prefix="ganvas-ray-") as name, ExitStack() as stack:
        folder, address = Path(name), f"127.0.0.1:{port}"
        of_head = ["--head", "--port", str(port), "--include-dashboard", "false", "--num-cpus", "0"]
        of_head += ["--temp-dir", f"{folder}/ray"]
        of_worker = ["--address", address, "--num-cpus", "1"]
        for node, options in (("head", of_head), ("one", of_worker), ("two", of_worker)):
            (folder / node).mkdir()
            log = folder / f"{node}.log"
            variables = environment(
                TMPDIR=f"{folder}/{node}",
                RAY_health_check_period_ms="500",  # a machine that is gone is known in seconds
                RAY_health_check_failure_threshold="4",
                **KEYS,
            )

            def started(log: Path = log) -> None:
                assert "Ray runtime started" in log.read_text()

            command = [*RAY, *options, *SMALL_STORE]
            stack.enter_context(serving(log, command, started, env=variables, cwd=folder))
        yield Cluster(address, [folder / "one", folder / "two"])
        for process in psutil.process_iter():  # each by itself would take its time to say goodbye
            with suppress(psutil.Error):
                if process.environ().get("TMPDIR", "").startswith(name):
                    process.kill()


def team(original: Path, folder: Path, s3: str = "", **values: object) -> Path:
    """A clone that has made nothing, of a repository whose results its remote has; committed.

    The remote is the folder `remote`, or a bucket of the S3 server at the URL.
    """
    made = copy(original, folder / "made")
    url = "s3://dvc/ganvas" if s3 else f"{folder}/remote"
    run(made, "dvc", "remote", "add", "-q", "--default", "team", url)
    if s3:
        run(made, "dvc", "remote", "modify", "-q", "team", "endpointurl", s3)
    edit(made, **values)
    remote.complete(remote.of_project(made), made / remote.CACHE)
    run(made, "dvc", "push", "-q", "--run-cache", **KEYS)
    (made / "dvc.lock").rename(folder / "dvc.lock")  # so that all comes from the run cache
    commit(made, "a team's")
    (folder / "dvc.lock").rename(made / "dvc.lock")
    run(folder, "git", "clone", "-q", str(made), str(folder / "head"))
    return folder / "head"


def stages(model: str) -> set[str]:
    return {f"{stage}@digits-{model}" for stage in STAGES}


class TestRemote:
    def test_has_what_dvc_would_find_and_no_more(
        self, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = copy(original, tmp_path / "repository")
        run(folder, "dvc", "remote", "add", "-q", "--default", "team", f"{tmp_path}/remote")
        monkeypatch.chdir(folder)
        store, every = remote.of_project(), pipeline.plan(config.load())
        assert remote.known(store, every) == set()
        run(folder, "dvc", "push", "-q", "--run-cache")
        # The others have outputs that git keeps: DVC has not sent those.
        alone = {"download@digits", "normalize@digits"} | {f"train@digits-{m}" for m in MODELS}
        assert remote.known(store, every) == alone
        for path in (tmp_path / "remote/runs").iterdir():
            run(tmp_path, "rm", "-r", str(path))
        remote.complete(store, remote.CACHE)
        run(folder, "dvc", "push", "-q", "--run-cache")
        shared = {f"{stage}@digits" for stage in cluster.OF_DATA}
        assert remote.known(store, every) == shared | stages("gan") | stages("dcgan")
        edit(folder, datasets__digits__models={"gan": {"epochs": 2, "checkpoint_every": 1}})
        now = pipeline.plan(config.load())
        assert remote.known(store, now) == shared | stages("gan")
        # What was made before the stage needed another file, which nobody has made yet.
        gan = f"train@digits-{MODELS[0]}"
        later = [s._replace(deps=[*s.deps, "later.npz"]) if s.stage == gan else s for s in now]
        assert remote.known(store, later) == shared
        assert remote.known(store, pipeline.plan(config.load(), seed=1)) == shared - {
            "reference@digits"
        }
        # What the remote has is not sent anew.
        remote.complete(store, remote.CACHE)
        assert not [path for path in (remote.CACHE / "runs").rglob("*") if path.is_file()]
        # An entry whose files are gone is worth nothing.
        generator = pipeline.locked()["train@digits-gan"].outs["models/digits/gan/generator"]
        (tmp_path / "remote/files/md5" / generator[:2] / generator[2:]).unlink()
        assert remote.known(store, now) == shared

    def test_is_the_same_on_s3(self, tmp_path: Path, s3: str) -> None:
        import boto3

        (tmp_path / ".dvc").mkdir()
        (tmp_path / ".dvc/config").write_text(
            "[core]\n    remote = team\n['remote \"team\"']\n    url = s3://dvc/ganvas\n"
            f"    endpointurl = {s3}\n"
        )
        store = remote.of_project(tmp_path)
        assert store.find("states") == [] and not store.has("states/a/b")
        for name in ("b", "c"):
            store.write(f"states/a/{name}", name.encode())
        assert store.find("states") == ["states/a/b", "states/a/c"]
        # What another machine writes is seen at once.
        bucket = boto3.resource("s3", endpoint_url=s3).Bucket("dvc")
        bucket.put_object(Key="ganvas/states/a/d", Body=b"d")
        assert store.find("states/a")[-1] == "states/a/d" and store.has("states/a/d")
        assert store.read("states/a/c") == b"c"
        with pytest.raises(FileNotFoundError):
            store.read("states/a/e")
        for _ in range(2):
            store.remove("states/a")
            assert store.find("states") == []

    def test_takes_a_state_after_what_it_needs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        runs, written = tmp_path / "runs", []

        class Watched(remote.Remote):
            def write(self, path: str, content: bytes) -> None:
                written.append(path)
                super().write(path, content)

        store = Watched(str(tmp_path / "remote"))
        (runs / "key/zeros").mkdir(parents=True)
        for name in ("state.safetensors", "zeros/epoch-1", "a.png", "mlflow_run", ".half.7"):
            (runs / "key" / name).write_text(name)
        (runs / "key.lock").touch()
        sent: dict[str, int] = {}
        remote.send_states(store, "states/digits-gan/1", runs, sent)
        assert written[-1] == "states/digits-gan/1/key/state.safetensors"
        names = {"state.safetensors", "zeros/epoch-1", "a.png"}
        assert {path.partition("key/")[2] for path in written} == names
        remote.send_states(store, "states/digits-gan/1", runs, sent)
        assert len(written) == 3
        os.utime(runs / "key/state.safetensors", ns=(1, 1))
        remote.send_states(store, "states/digits-gan/1", runs, sent)
        assert written[3:] == ["states/digits-gan/1/key/state.safetensors"]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example.org")
        remote.send_states(store, "states/digits-gan/1", runs, sent)
        assert written[4:] == ["states/digits-gan/1/key/mlflow_run"]
        remote.fetch_states(store, "states/digits-gan/1", tmp_path / "elsewhere")
        fetched = tmp_path / "elsewhere/key"
        assert all((fetched / name).read_text() == name for name in names)
        remote.fetch_states(store, "states/digits-gan/2", tmp_path / "nothing")
        assert not (tmp_path / "nothing").exists()


class TestPlan:
    def test_has_what_instances_share_once_and_before_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("dvc.yaml", "ganvas", "stages"):
            (tmp_path / name).symlink_to(ROOT / name)
        (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
        edges = {"edges-pix2pix": {"dataset": "edges", "model": "pix2pix"}}
        matrix = {"datasets": ["digits"], "models": ["gan"]}
        edit(tmp_path, matrix=matrix | {"translated": ["edges"], "translations": edges})
        monkeypatch.chdir(tmp_path)
        found = {task.name: task for task in cluster.tasks(config.load(), [3, 5])}
        assert {name: task.after for name, task in found.items()} == {
            "reference@digits seed 3": "",
            "evaluate@digits-gan seed 3": "reference@digits seed 3",
            "reference@digits seed 5": "reference@digits seed 3",
            "evaluate@digits-gan seed 5": "reference@digits seed 5",
            "reference-translation@edges seed 3": "",
            "evaluate-translation@edges-pix2pix seed 3": "reference-translation@edges seed 3",
            "reference-translation@edges seed 5": "reference-translation@edges seed 3",
            "evaluate-translation@edges-pix2pix seed 5": "reference-translation@edges seed 5",
        }
        train, *_ = found["evaluate-translation@edges-pix2pix seed 5"].stages
        assert (train.stage, train.params["seed"]) == ("train-translation@edges-pix2pix", 5)
        *same, _ = found["reference@digits seed 5"].stages
        assert same == found["reference@digits seed 3"].stages[:3]
        nothing = remote.Remote(str(tmp_path / "remote"))
        missing = cluster.plan(config.load(), [3, 5], nothing).missing
        of_data = [f"{stage}@digits" for stage in cluster.OF_DATA]
        assert missing["reference@digits seed 3"] == of_data
        assert missing["reference@digits seed 5"] == ["reference@digits"]
        of_model = [f"{stage}@digits-gan" for stage in STAGES]
        for seed in (3, 5):
            assert missing[f"evaluate@digits-gan seed {seed}"] == of_model

    def test_of_some_has_what_they_share_and_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)
        some = cluster.tasks(config.load(), [0, 1], ["mnist-dcgan", "digits-gan"])
        assert {task.name: task.after for task in some} == {
            "reference@digits seed 0": "",
            "evaluate@digits-gan seed 0": "reference@digits seed 0",
            "reference@digits seed 1": "reference@digits seed 0",
            "evaluate@digits-gan seed 1": "reference@digits seed 1",
            "reference@mnist seed 0": "",
            "evaluate@mnist-dcgan seed 0": "reference@mnist seed 0",
            "reference@mnist seed 1": "reference@mnist seed 0",
            "evaluate@mnist-dcgan seed 1": "reference@mnist seed 1",
        }

    def test_takes_the_time_from_published_speeds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("dvc.yaml", "params.yaml", "results", "docs"):
            (tmp_path / name).symlink_to(ROOT / name)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(paths, "ROOT", tmp_path)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        published = json.loads((ROOT / "docs/results.json").read_text())["training"]["mnist"]
        hours = {
            task.instance.name: cluster.hours(task.instance)
            for task in cluster.tasks(config.load(), [0])
            if task.instance and task.instance.data.name == "mnist"
        }
        expected = {f"mnist-{model}": facts["seconds"] / 3600 for model, facts in published.items()}
        assert hours == pytest.approx(expected, rel=1e-3)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that has made nothing, and has no remote."""
    folder = tmp_path_factory.mktemp("bare")
    make(folder, matrix__datasets=["digits"])
    return folder


def refusal(folder: Path, *arguments: str) -> str:
    done = run(folder, *GANVAS, *arguments, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


class TestRefuses:
    def test_a_repository_without_a_remote_that_all_find(self, bare: Path) -> None:
        assert ".dvc/config: no default remote" in refusal(bare)
        run(bare, "dvc", "remote", "add", "-q", "--default", "team", "../beside")
        commit(bare, "a remote that is beside this clone alone")
        assert ".dvc/config: no default remote" in refusal(bare)

    def test_what_no_commit_has(self, bare: Path) -> None:
        before = (bare / "params.yaml").read_text()
        edit(bare, train__log_every=7)
        for options in (["--dry-run"], ["--git", "https://example.org/ganvas"]):
            assert "differ from the commit" in refusal(bare, *options)
        (bare / "params.yaml").write_text(before)

    def test_seeds_that_are_none(self, bare: Path) -> None:
        assert "--seeds 1,x" in refusal(bare, "--seeds", "1,x")


def test_some_are_restored_by_name_without_the_page_that_shows_all(
    original: Path, tmp_path: Path
) -> None:
    head = team(original, tmp_path, datasets__digits__models__dcgan__epochs=3)
    assert refusal(head, "digits-gan", "digits-dcgn") == (
        "error: cluster: 'digits-dcgn' is not in params.yaml's matrix; did you mean 'digits-dcgan'?"
    )
    done = run(head, *GANVAS, "digits-gan")
    assert "0 of 2 to run" in done.stdout and ran(done) == {"params"}
    restored = json.loads((head / "results/digits/gan/metrics.json").read_text())
    assert restored == json.loads((original / "results/digits/gan/metrics.json").read_text())
    recorded = pipeline.locked((head / "dvc.lock").read_text()).keys()
    assert stages("gan") < recorded and not recorded & (stages("dcgan") | {"report@digits"})


class TestCollect:
    @pytest.fixture
    def asked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
        """What DVC is asked for, in a repository of its own."""
        asked: list[tuple[str, ...]] = []
        monkeypatch.setattr(cluster, "_dvc", lambda *arguments: asked.append(arguments))
        (tmp_path / "dvc.yaml").symlink_to(ROOT / "dvc.yaml")
        (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
        edit(tmp_path, tracking__enabled=False, matrix__models=["gan", "dcgan"])
        run(tmp_path, "git", "init", "-q")
        commit(tmp_path, "a team's")
        monkeypatch.chdir(tmp_path)
        return asked

    def test_makes_a_page_where_all_its_models_are_there(
        self, asked: list[tuple[str, ...]]
    ) -> None:
        params = config.load()
        tasks = list(cluster.tasks(params, [0], ["digits-gan", "mnist-gan"]))
        known = {0: {"evaluate@mnist-dcgan", "evaluate@fashion_mnist-dcgan"}}
        cluster.collect(cluster.Plan(tasks, {}, known), params, tasks)
        assert asked == [
            ("repro", "--pull", "evaluate@digits-gan", "evaluate@mnist-gan"),
            ("repro", "--pull", "report@mnist"),
        ]

    def test_keeps_what_an_experiment_of_the_seed_has(
        self, asked: list[tuple[str, ...]], tmp_path: Path
    ) -> None:
        params, name = config.load(), "cluster-seed-1"
        here = run(tmp_path, "git", "rev-parse", "HEAD").stdout.strip()
        of_seeds = {"evaluate@digits-gan": 1, "evaluate@digits-dcgan": 0}
        entries = {
            s: {"cmd": "c", "params": {"params.yaml": {"seed": n}}} for s, n in of_seeds.items()
        }
        (tmp_path / "dvc.lock").write_text(json.dumps({"stages": entries}))  # JSON is YAML
        commit(tmp_path, "seed 1")
        run(tmp_path, "git", "update-ref", f"refs/exps/{here[:2]}/{here[2:]}/{name}", "HEAD")
        run(tmp_path, "git", "reset", "-q", "--hard", here)
        tasks = list(cluster.tasks(params, [1], ["digits-gan", "digits-dcgan"]))
        plan, (_, gan, dcgan) = cluster.Plan(tasks, {}, {1: set()}), tasks
        cluster.collect(plan, params, [gan])
        assert asked == []
        cluster.collect(plan, params, [dcgan])
        removed, (*options, first, second) = asked
        assert removed == ("exp", "remove", "--quiet", name)
        assert options[:2] == ["exp", "run"] and {name, "seed=1", "--pull"} < set(options)
        assert (first, second) == ("evaluate@digits-gan", "evaluate@digits-dcgan")


def test_the_commit_is_taken_from_a_remote_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    run(tmp_path, "git", "init", "-q", str(origin))
    (origin / "a").touch()
    commit(origin, "pushed")
    run(tmp_path, "git", "clone", "-q", str(origin), str(clone))
    monkeypatch.chdir(clone)
    assert cluster.source() == str(origin)
    (clone / "b").touch()
    commit(clone, "here alone")
    assert cluster.source() == str(clone)


def test_what_failed_is_named_with_its_log_and_the_rest_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    tasks = list(cluster.tasks(config.load(), [0], ["digits-gan", "digits-dcgan"]))
    names = [task.name for task in tasks]
    plan = cluster.Plan(tasks, {name: ["evaluate@x"] for name in names}, {})
    ended = [
        cluster.Status("done"),
        cluster.Status("done"),
        cluster.Status("failed", "two", "a\nb"),
    ]
    collected: list[cluster.Task] = []
    monkeypatch.setattr(cluster, "source", lambda: "git")
    monkeypatch.setattr(remote, "of_project", lambda: None)
    monkeypatch.setattr(cluster, "plan", lambda *_: plan)
    monkeypatch.setattr(cluster, "work", lambda *_: [dict(zip(names, ended, strict=True))])
    monkeypatch.setattr(cluster, "collect", lambda plan, params, ended: collected.extend(ended))
    assert command.cluster(["digits-gan", "digits-dcgan"]) is False
    assert collected == tasks[:2]
    said = capsys.readouterr().out
    assert "\nevaluate@digits-dcgan seed 0 failed on two:\na\nb\n" in said
    assert "1 of 3 failed" in said


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_has_a_line_for_what_runs_and_what_failed_and_counts_the_rest(
    columns: int,
) -> None:
    training = "mnist-dcgan: 1,120 of 16,880 it, 58.3/s, 4.5 min left, generator_loss 1.234, more"
    states = {
        "reference@mnist seed 0": cluster.Status("done", "one", "17 files pushed"),
        "evaluate@mnist-gan seed 0": cluster.Status("queued"),
        "evaluate@mnist-dcgan seed 0": cluster.Status("running", "ip-10-0-12-34", training),
        "evaluate-translation@edges-pix2pix seed 11": cluster.Status(
            "failed", "two", "error: losses are not finite [at 7]\nERROR: failed"
        ),
    }
    console = Console(width=columns, record=True, file=io.StringIO())
    console.print(command._table(states))
    title, heading, *rows = console.export_text().splitlines()
    assert title.strip() == "1 queued, 1 running, 1 done, 1 failed"
    assert re.split("  +", heading.strip()) == ["run", "machine", "says"]
    running, failed = [re.split("  +", row.strip()) for row in rows]
    assert running[:2] == ["mnist-dcgan seed 0", "ip-10-0-12-34"]
    said = training.removeprefix("mnist-dcgan: ")
    assert said.startswith(running[2].removesuffix("…")) and "4.5 min left" in running[2]
    assert failed == ["edges-pix2pix seed 11", "two", "failed: losses are not finite [at 7]"]


class TestWorker:
    def test_tells_no_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
        said = "push to https://user:pass@example.org/x with wJalrXUtnFEMI failed"
        assert worker.redacted(said) == "push to https://***@example.org/x with *** failed"

    def test_hands_lines_to_the_board_and_raises_the_last_ones_without_secrets(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[tuple[str, ...]] = []
        board = SimpleNamespace(note=SimpleNamespace(remote=lambda *said: told.append(said)))
        ray = SimpleNamespace(get_actor={"board": board}.__getitem__)
        monkeypatch.setitem(sys.modules, "ray", ray)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setenv("GIT_TOKEN", "wJalrXUtnFEMI")
        with pytest.raises(RuntimeError) as error:
            worker.run({**JOB, "git": f"{tmp_path}/wJalrXUtnFEMI"}, "board")
        (name, host, line) = told[-1]
        assert (name, host) == (JOB["name"], socket.gethostname())
        assert f"{tmp_path}/***" in line and line in str(error.value)
        assert "wJalr" not in str([*told, error.value])

    def test_takes_states_from_the_remote_and_brings_them_there(self, tmp_path: Path) -> None:
        failures = [OSError("the line is down")]

        class Shaky(remote.Remote):
            def write(self, path: str, content: bytes) -> None:
                if failures:
                    raise failures.pop()
                super().write(path, content)

        url, name = str(tmp_path / "remote"), "states/digits-gan/1/key/state.safetensors"
        store = remote.Remote(url)
        store.write(name, b"before")
        job: worker.Job = {**JOB, "save_seconds": 0.01}
        runs = tmp_path / "runs"
        with worker._carried(job, Shaky(url), worker.states(job), runs):
            state = runs / "key/state.safetensors"
            assert state.read_bytes() == b"before"
            state.write_bytes(b"after")
            os.utime(state, ns=(1, 1))
            wait(lambda: store.read(name) == b"after", 10)
        assert not failures
        with worker._carried({**job, "instance": ""}, store, "", tmp_path / "none"):
            pass
        assert not (tmp_path / "none").exists()

    def test_deletes_what_killed_jobs_left_and_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        place = tmp_path / f"ganvas-cluster-{os.getuid()}"
        for name in ("killed", "alive"):
            (place / name).mkdir(parents=True)
            (place / f"{name}.lock").touch()
        with FileLock(place / "alive.lock"), worker._folder() as folder:
            found = {path.name for path in place.iterdir() if path.is_dir()}
            assert found == {"alive", folder.name}
        assert {path.name for path in place.iterdir()} == {"alive", "alive.lock"}

    def test_gives_a_job_its_threads_and_no_other_repositorys_names(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DVC_ROOT", "/elsewhere")
        monkeypatch.setenv("OMP_NUM_THREADS", "64")
        variables = worker.environment({**JOB, "threads": 3, "experiment": "cluster-seed-1"})
        assert (variables["OMP_NUM_THREADS"], variables["DVC_EXP_NAME"]) == ("3", "cluster-seed-1")
        assert "DVC_ROOT" not in variables
        assert "DVC_EXP_NAME" not in worker.environment(JOB)

    def test_leaves_nothing_running_where_its_parent_is_killed(self, tmp_path: Path) -> None:
        git, pid = tmp_path / "git", tmp_path / "pid"
        git.write_text(f"#!/bin/sh\necho $$ > {pid}.part; mv {pid}.part {pid}; sleep 300; :\n")
        git.chmod(0o755)
        variables = environment(TMPDIR=str(tmp_path))
        variables["PATH"] = f"{tmp_path}{os.pathsep}{variables['PATH']}"
        line = (json.dumps(JOB) + "\n").encode()
        parent = (
            "import subprocess, sys, time;"
            "child = subprocess.Popen([sys.executable, '-m', 'ganvas.workflow.worker'],"
            " stdin=subprocess.PIPE, start_new_session=True);"
            f"child.stdin.write({line!r}); child.stdin.flush(); time.sleep(300)"
        )
        process = subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, env=variables)
        wait(pid.exists)
        child = psutil.Process(int(pid.read_text()))
        process.kill()
        process.wait()
        wait(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def wait(until: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.05)


@needs_cluster
def test_one_job_comes_back_as_if_it_had_run_here(
    original: Path, tmp_path: Path, machines: Cluster
) -> None:
    changed = {"gan": {"epochs": 2, "checkpoint_every": 1}, "dcgan": TINY}
    head = team(original, tmp_path, datasets__digits__models=changed)
    shown = run(head, *GANVAS, "--dry-run").stdout
    assert re.search(r"evaluate@digits-dcgan seed 0  train, select, sample, evaluate:", shown)
    assert "1 of 3 to run" in shown and not (head / "dvc.lock").exists()
    done = run(head, *GANVAS, "--address", machines.address)
    assert re.search(r"^running +evaluate@digits-dcgan seed 0", done.stdout, re.MULTILINE)
    assert ran(done) == {"params", "report@digits"}  # the page is made here
    assert ran(run(head, "dvc", "repro")) == set()
    # Nothing is left there.
    assert not (tmp_path / "remote/states/digits-dcgan/0").exists()
    assert not [path for node in machines.nodes for path in node.glob("ganvas-cluster-*/*")]
    made = tmp_path / "made"
    assert ran(run(made, "dvc", "repro")) == {"params", "report@digits"} | stages("dcgan")
    assert (head / "dvc.lock").read_bytes() == (made / "dvc.lock").read_bytes()


@needs_cluster
def test_a_machine_is_taken_away_and_a_run_always_fails(
    original: Path, tmp_path: Path, machines: Cluster, s3: str
) -> None:
    models = {
        "gan": {"epochs": 60, "checkpoint_every": 30},
        "dcgan": {"epochs": 10, "checkpoint_every": 5},
        "lsgan": TINY | {"objective": "nothing"},
    }
    tiny = {"matrix__models": [*models], "datasets__digits__models": models}
    head, tries = team(original, tmp_path, s3, train__save_seconds=1, **tiny), tmp_path / "tries"
    tries.mkdir()
    nothing = NOTHING.replace("{tries}", str(tries))
    (head / "ganvas/training/objectives/nothing.py").write_text(nothing)
    edit(head, tracking__enabled=True)
    commit(head, "tracked, with an objective that is none")
    log = tmp_path / "log"
    arguments = ["--address", machines.address, "--seeds", "0,1,2"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *GANVAS[1:], *arguments],
            cwd=head,
            env=environment(**KEYS),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    store = remote.of_project(head)

    state = re.compile(r"states/(digits-(?:dc)?gan)/\d/(\w+)/state.safetensors")

    def saved() -> list[re.Match[str]]:
        return [found for path in store.find("states") if (found := state.fullmatch(path))]

    wait(lambda: bool(saved()), 900)
    name, key = saved()[0].groups()
    of_it = f"ganvas-cluster-*/*/repository/.ganvas/runs/{name}/{key}"
    taken = next(node for node in machines.nodes if any(node.glob(of_it)))  # where it is trained
    machines.raylet(taken).send_signal(signal.SIGKILL)
    assert process.wait(3000) == 1, log.read_text()
    said = log.read_text()
    assert "goes on from iteration" in said
    assert "(raylet)" not in said  # nor anything else that Ray would print
    tail = r" failed .*\n(.*\n)*the key is \*\*\*\n(.*\n)*.*not finite"
    for seed in (0, 1, 2):
        assert re.search(f"evaluate@digits-lsgan seed {seed}{tail}", said)
        for model in ("gan", "dcgan"):
            assert re.search(rf"^done +evaluate@digits-{model} seed {seed}$", said, re.MULTILINE)
    assert "3 of 12 failed" in said
    assert len([*tries.iterdir()]) == 3 * cluster.TRIES
    logs = [path for path in machines.nodes[0].parent.rglob("*") if path.is_file()]
    secret = KEYS["AWS_SECRET_ACCESS_KEY"].encode()
    assert len(logs) > 10 and not [path for path in [log, *logs] if secret in path.read_bytes()]
    # The same command again runs only what is missing.
    shown = run(head, *GANVAS, *arguments, "--dry-run", **KEYS).stdout
    assert "3 of 12 to run" in shown
    runs = re.findall(r"^(\S+) seed \d  train, ", shown, re.MULTILINE)
    assert runs == ["evaluate@digits-lsgan"] * 3
    alone = tmp_path / "alone"
    run(tmp_path, "git", "clone", "-q", str(head), str(alone))
    targets = ["evaluate@digits-gan", "evaluate@digits-dcgan"]
    assert "params" in ran(run(alone, "dvc", "repro", *targets))
    assert (head / "dvc.lock").read_bytes() == (alone / "dvc.lock").read_bytes()
    for seed in ("1", "2"):
        run(alone, "dvc", "exp", "run", "-q", "--temp", "-n", seed, "-S", f"seed={seed}", *targets)
        assert lock(head, f"cluster-seed-{seed}") == lock(alone, seed) != ""
    runs = run(head, "python", "-m", "ganvas", "lineage", "--verify").stdout
    assert runs.count(": matches\n") == 2 and runs.count("matches its experiment") == 4


def lock(repository: Path, name: str) -> str:
    """The dvc.lock of an experiment."""
    refs = run(repository, "git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    (ref,) = [ref for ref in refs if ref.endswith(f"/{name}")]
    return run(repository, "git", "show", f"{ref}:dvc.lock").stdout
