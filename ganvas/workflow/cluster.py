"""Many runs on a cluster: what there is to do, Ray to place it, and its results at the head.

Ray (Moritz 2018, arXiv:1712.05889) places the jobs and tries them again; results and states of
trainings travel through the DVC remote, so that the head restores everything from the run cache.
"""

import logging
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ganvas import config
from ganvas.config import Params
from ganvas.errors import GanvasError
from ganvas.reporting import report
from ganvas.tracking import runs
from ganvas.workflow import (
    freshness,
    lineage,
    mirror,
    paths,
    pipeline,
    provenance,
    remote,
    worker,
)
from ganvas.workflow.instances import Instance, data_sets, matrix
from ganvas.workflow.pipeline import Declared

TRIES = 3
OF_DATA = ("download", "normalize", "classifier", "reference")
EXPERIMENT = "cluster-seed-{}"  # of DVC, with the runs of that seed
DVC = (sys.executable, "-m", "dvc")


class Task(NamedTuple):
    """One job for a worker: a data set's own stages, or a model on it, with a seed."""

    target: str  # as DVC names the last stage
    seed: int
    after: str  # the name of the task that makes what it shares; empty where there is none
    stages: list[Declared]
    instance: Instance | None  # None for what all models of a data set share

    @property
    def name(self) -> str:
        return f"{self.target} seed {self.seed}"


class Status(NamedTuple):
    state: str  # queued, running, done or failed
    host: str = ""
    said: str = ""  # its last line; of what failed the last ones


class Plan(NamedTuple):
    tasks: list[Task]
    missing: dict[str, list[str]]  # by task, its stages whose results the remote lacks
    known: dict[int, set[str]]  # by seed, the stages of the whole matrix whose results it has


def tasks(params: Params, seeds: Iterable[int], names: Collection[str] = ()) -> Iterator[Task]:
    """Every instance of the matrix, or those named, with every seed, after what they share."""
    for data in data_sets(params):
        wanted = [each for each in data.instances() if not names or each.name in names]
        if not wanted:
            continue
        before = ""
        for seed in seeds:
            declared = {stage.stage: stage for stage in pipeline.plan(params, seed)}
            stages = [declared[pipeline.named(kind, data)] for kind in OF_DATA]
            shared = Task(data.stage("reference"), seed, before, stages, None)
            yield shared
            for each in wanted:
                own = [declared[pipeline.named(kind, each)] for kind in mirror.OF_A_MODEL]
                yield Task(each.stage("evaluate"), seed, shared.name, own, each)
            # Of another seed only the floor is another: download, arrays and classifier are there.
            before = before or shared.name


def plan(
    params: Params, seeds: Iterable[int], store: remote.Remote, names: Collection[str] = ()
) -> Plan:
    """What has to run, by what the remote's run cache has, of all or of the instances named.

    Raises `GanvasError` on a name that the matrix does not have.
    """
    seeds, every = list(seeds), [each.name for each in matrix(params)]
    for name in names:
        if name not in every:
            raise GanvasError(
                f"cluster: {name!r} is not in params.yaml's matrix; {config.likely(name, every)}"
            )
    # Keys hang on links to people's own images and to modules; and params.yaml is checked.
    if subprocess.run([sys.executable, "-m", "stages.params"]).returncode:
        raise GanvasError("cluster: params.yaml is not right, as it says above")
    known = {seed: remote.known(store, pipeline.plan(params, seed)) for seed in seeds}
    found, missing = list(tasks(params, seeds, names)), {}
    before: list[Declared] = []  # what another seed does not change runs once
    for task in found:
        new = [stage for stage in task.stages if stage not in before]
        missing[task.name] = [s.stage for s in new if s.stage not in known[task.seed]]
        before += task.stages
    return Plan(found, missing, known)


def hours(instance: Instance) -> float | None:
    """Of its training, at the speed of the newest run in MLflow, else of docs/results.json."""
    rates: list[float] = []
    with suppress(GanvasError):  # a server that does not answer
        found = runs.search(
            paths.ROOT, instance.data.name, f"attributes.run_name = '{instance.name}'"
        )
        rates += [run.data.metrics.get("iterations_per_second", 0) for run in found]
    published = freshness.published().get("training", {}).get(instance.data.name, {})
    rates.append(published.get(instance.model, {}).get("iterations_per_second", 0))
    rate = next((rate for rate in rates if rate), None)
    try:
        path = instance.results / "selection.csv"
        table = report.read_columns(path, ["iteration", "epoch"])
    except (GanvasError, OSError):
        return None  # never trained here: how many iterations an epoch has is not known
    per_epoch = max(table["iteration"]) / max(table["epoch"])
    return per_epoch * instance.recipe.epochs / rate / 3600 if rate else None


class Board:
    """The actor at the head that is told what every job says."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, str]] = {}

    def note(self, name: str, host: str, line: str) -> None:
        self._said[name] = host, line

    def said(self) -> dict[str, tuple[str, str]]:
        return self._said


def source() -> str:
    """Where workers find the commit: a remote of git's that has it, else this very folder.

    Raises `GanvasError` where there are changes that no commit has.
    """
    commit = provenance.commit()
    if commit is None or provenance.dirty():
        raise GanvasError(
            "cluster: code or parameters differ from the commit; commit them, workers take it "
            "from git"
        )
    known = provenance.git("branch", "-r", "--contains", commit, "--format=%(refname:lstrip=2)")
    for name in known.split() if known else ():
        if url := provenance.git("remote", "get-url", name.partition("/")[0]):
            return url
    return str(Path.cwd())


def work(plan: Plan, params: Params, git: str, address: str) -> Iterator[dict[str, Status]]:
    """Let the cluster make what is missing; yields the status of every task, each second.

    Ray places a task where its resources are, and tries it `TRIES` times. Raises `GanvasError`
    where there is no Ray, or no cluster at the address.
    """
    ray, dashboard = _connected(address)
    try:
        name, here = f"ganvas-{uuid.uuid4().hex}", ray.get_runtime_context().get_node_id()
        at_head = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        board = (
            ray.remote(Board).options(name=name, num_cpus=0, scheduling_strategy=at_head).remote()
        )
        of_task = ray.remote(
            num_cpus=params.cluster.cpus,
            num_gpus=params.cluster.gpus,
            scheduling_strategy="SPREAD",
            max_retries=TRIES - 1,
            retry_exceptions=True,
        )(worker.run)
        if dashboard:
            print(f"Ray's dashboard: http://{dashboard}", flush=True)
        status = {n: Status("queued" if stages else "done") for n, stages in plan.missing.items()}
        waiting = [task for task in plan.tasks if plan.missing[task.name]]
        running: dict[Any, str] = {}
        while waiting or running:
            for task in [*waiting]:
                before = status.get(task.after, Status("done")).state
                if before == "failed":
                    status[task.name] = Status("failed", said=f"needs {task.after}")
                elif before == "done":
                    job = _job(task, params, git)
                    running[of_task.options(name=task.name).remote(job, name)] = task.name
                if before in ("failed", "done"):
                    waiting.remove(task)
            said = ray.get(board.said.remote())
            for each in said.keys() & set(running.values()):
                status[each] = Status("running", *said[each])
            for ended in ray.wait([*running], timeout=1)[0] if running else ():
                done = running.pop(ended)
                try:
                    ray.get(ended)
                    status[done] = Status("done", status[done].host)
                except ray.exceptions.RayError as error:
                    tail = str(getattr(error, "cause", None) or error)
                    status[done] = Status("failed", status[done].host, tail)
            yield dict(status)
    finally:
        ray.shutdown()


def collect(plan: Plan, params: Params, ended: Iterable[Task]) -> None:
    """Bring what the `ended` tasks made to this repository, as if it had run here.

    Everything comes from the run cache: the seed of params.yaml to the workspace, each other one
    to an experiment. MLflow's store gets what it lacks, and then the report pages are made, which
    name its runs.
    """
    ended = list(ended)
    for seed in dict.fromkeys(task.seed for task in plan.tasks):
        made = [task.instance for task in ended if task.seed == seed and task.instance]
        targets = [each.stage("evaluate") for each in made]
        if not targets:
            continue
        if seed != params.seed:
            _experiment(params, seed, targets)
            continue
        _dvc("repro", "--pull", *targets)
        if params.tracking.enabled:
            lineage.rebuild(params)
        there = {*targets, *plan.known[seed]}  # a page shows all models of its data set
        pages = [
            data.stage("report")
            for data in dict.fromkeys(each.data for each in made)
            if all(each.stage("evaluate") in there for each in data.instances())
        ]
        if pages:
            _dvc("repro", "--pull", *pages)


def experiment(params: Params, seed: int) -> str:
    """As DVC is to call the runs of a seed; empty for that of params.yaml."""
    return "" if seed == params.seed else EXPERIMENT.format(seed)


def _experiment(params: Params, seed: int, targets: list[str]) -> None:
    """`dvc exp run`, unless there is one from this commit that has all of it.

    What an earlier one has of this seed, when other instances were asked for, goes on into it.
    """
    name, here = experiment(params, seed), provenance.commit() or ""
    ref = f"refs/exps/{here[:2]}/{here[2:]}/{name}"
    if commit := provenance.git("rev-parse", "--verify", "--quiet", ref):
        entries = pipeline.locked((provenance.at(commit, "dvc.lock") or b"").decode())
        every = [each.stage("evaluate") for each in matrix(params)]
        had = [t for t in every if t in entries and entries[t].params["seed"] == seed]
        if set(targets) <= set(had):
            return
        targets = [t for t in every if t in {*had, *targets}]
        _dvc("exp", "remove", "--quiet", name)
    _dvc("exp", "run", "--temp", "--pull", "--name", name, "--set-param", f"seed={seed}", *targets)
    if params.tracking.enabled and (made := provenance.git("rev-parse", "--verify", ref)):
        _rebuild(name, made, targets)


def _rebuild(name: str, commit: str, targets: list[str]) -> None:
    """MLflow's runs of an experiment, written in a clone of it to the store of this repository."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="ganvas-") as folder:
        variables = {**os.environ, "DVC_ROOT": str(here), "DVC_EXP_NAME": name}
        for command in (
            ["git", "clone", "-q", "--shared", "--no-checkout", str(here), folder],
            ["git", "checkout", "-q", "--detach", commit],
            [*DVC, "cache", "dir", "--quiet", "--local", str(here / remote.CACHE)],
            [*DVC, "checkout", "--quiet", "--with-deps", *targets],
            [sys.executable, "-m", "ganvas", "lineage", "--rebuild"],
        ):
            subprocess.run(command, cwd=folder, env=variables)


def _dvc(*arguments: str) -> None:
    if subprocess.run([*DVC, *arguments]).returncode:
        raise GanvasError(f"cluster: `dvc {' '.join(arguments)}` failed, as it says above")


def _job(task: Task, params: Params, git: str) -> worker.Job:
    return {
        "name": task.name,
        "target": task.target,
        "instance": task.instance.name if task.instance else "",
        "seed": task.seed,
        "experiment": experiment(params, task.seed),
        "commit": provenance.commit() or "",
        "git": git,
        "threads": max(1, int(params.cluster.cpus)),
        "save_seconds": params.train.save_seconds,
    }


def _connected(address: str) -> tuple[Any, str]:
    """The package, connected, and where its dashboard is; empty where it was started without."""
    # Tasks that are killed for memory would be tried for ever.
    os.environ.setdefault("RAY_task_oom_retries", str(TRIES - 1))
    # Ray prints what fails, with a machine's last log, into the table; what matters is shown there.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")
    try:
        import ray
    except ImportError:
        raise GanvasError(
            "cluster: Ray is not installed; `pip install -c constraints.txt -e '.[cluster]'`"
        ) from None
    try:
        context = ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        first = str(error).partition("\n")[0]
        raise GanvasError(
            f"cluster: no Ray cluster at {address} ({first}); `ray start --head` begins one"
        ) from None
    return ray, context.dashboard_url or ""
