"""The mirror in MLflow: one run per trained model.

Everything is written by a thread of its own, so that a slow, locked or absent store costs a line
in the log and never a training run; the results are the same without it.
"""

import hashlib
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from filelock import FileLock

from ganvas.errors import GanvasError
from ganvas.tracking import places

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Run

log = logging.getLogger(__name__)

PATIENCE = 60  # seconds that a stage waits, at its end, for a slow store
GATHERED = 5  # seconds over which points of curves are gathered for one call
GENERATOR_TAG = "ganvas.generator"  # the DVC hash of the generator that a run trained
# mlflow ui draws a run in the colour of this tag. Left to itself it derives one from the run's id,
# at times the same for the two runs that a person compares.
COLOUR_TAG = "mlflow.runColor"
COLOURS = (
    *("#2272b4", "#de7921", "#3ba65e", "#8a63bf", "#c82d4c"),
    *("#04867d", "#b45091", "#a6630c", "#4299e0", "#5f7281"),
)
# So that its page shows training runs, not prompts and judges. MLflow 3.17 does not ask it: there
# each browser keeps its own choice.
KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
DESCRIPTION_TAG = "mlflow.note.content"  # Markdown
DESCRIBED_TAG = "ganvas.description"  # sha256 of the one written here: a person's own stays

T = TypeVar("T")
Job = Callable[["MlflowClient", str], object]
Point = tuple[str, float, int, int]  # name, value, milliseconds since 1970, step


class Input(NamedTuple):
    """A data set that a run read."""

    name: str
    digest: str  # DVC's hash
    context: str  # training or evaluation
    path: str


class Origin(NamedTuple):
    """The run that made a generator."""

    run: str  # its id
    started: str
    commit: str
    newest: bool  # no later run of this model made another generator


class Tracker:
    """One MLflow run, written behind the caller's back: nothing that writes waits, or raises.

    The run is found by `run_id` or by the hash of the generator it trained; failing that, a new
    one is opened in the experiment `experiment`, whose description, in Markdown, is `about`.
    `system` adds the load of processor, memory, disk and GPU. Use as a context; leaving it waits
    `patience` seconds (`PATIENCE`) at most for what is still unwritten, and so do the questions
    `ask` and `origin`.
    """

    def __init__(
        self,
        root: Path,
        experiment: str,
        name: str,
        *,
        about: str = "",
        enabled: bool = True,
        run_id: str | None = None,
        generator: str | None = None,
        tags: Mapping[str, str] | None = None,
        system: bool = False,
        patience: float | None = None,
    ) -> None:
        self._root, self._experiment, self._name, self._about = root, experiment, name, about
        self._run_id, self._generator, self._tags = run_id, generator, dict(tags or {})
        self._jobs: queue.SimpleQueue[Job | list[Point] | None] = queue.SimpleQueue()
        self._ended: int | None = None  # when training did: the run's duration stays training's
        self._system = system
        self._patience = PATIENCE if patience is None else patience
        self.enabled = enabled
        self._failed = not enabled
        self._thread = threading.Thread(target=self._work, daemon=True, name="mlflow")
        if enabled:
            self._thread.start()

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # A later stage that fails says nothing about the training that the run is of.
        good = kind is None or self._generator is not None
        status = "FINISHED" if good else "KILLED" if kind is SystemExit else "FAILED"
        self.also(lambda client, run: client.set_terminated(run, status, self._ended))
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(self._patience)
        if self._thread.is_alive():
            self._fail(f"no answer within {self._patience:.0f} s")

    @property
    def failed(self) -> bool:
        """Whether something could not be written."""
        return self.enabled and self._failed

    def also(self, job: Job) -> None:
        """Whatever else is to be done with the client and the run's id."""
        self._jobs.put(job)

    def ask(self, question: Callable[["MlflowClient", str], T]) -> T | None:
        """The store's answer once all before it is written; None without one in `PATIENCE`."""
        answers: queue.SimpleQueue[T] = queue.SimpleQueue()
        self.also(lambda client, run: answers.put(question(client, run)))
        until = time.monotonic() + self._patience
        while self._thread.is_alive() and time.monotonic() < until:
            with suppress(queue.Empty):
                return answers.get(timeout=0.1)
        return None

    def origin(self) -> Origin | None:
        """Who made the generator that the run was found by; None without an answer."""

        def look(client: "MlflowClient", run: str) -> Origin | None:
            found = client.get_run(run)
            if "dvc.train" not in found.data.tags:  # opened by a later stage: it trained nothing
                return None
            own = found.data.tags.get("dvc.experiment", "")
            newest = client.search_runs(
                [found.info.experiment_id],
                f"attributes.run_name = '{self._name}' AND attributes.status = 'FINISHED'",
                order_by=["attributes.start_time DESC"],
            )
            beside = [each for each in newest if each.data.tags.get("dvc.experiment", "") == own]
            return Origin(
                run,
                moment(found),
                found.data.tags.get("mlflow.source.git.commit", "none"),
                all(each.info.start_time <= found.info.start_time for each in beside),
            )

        return self.ask(look)

    def params(self, values: Mapping[str, Any]) -> None:
        """Parameters by their names in params.yaml."""
        from_values = [(key, str(value)) for key, value in values.items()]

        def job(client: "MlflowClient", run: str) -> None:
            from mlflow.entities import Param

            known = client.get_run(run).data.params  # a run that goes on has them already
            new = [Param(key, value) for key, value in from_values if known.get(key) != value]
            client.log_batch(run, params=new)

        self._jobs.put(job)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self.curves([(step, values)])

    def curves(self, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Points of several curves at once: (step, values by name)."""
        now = int(time.time() * 1000)
        self._jobs.put([(key, float(y), now, step) for step, row in rows for key, y in row.items()])

    def inputs(self, read: Iterable[Input]) -> None:
        """Data sets, under MLflow's digests DVC's hashes."""
        read = list(read)

        def job(client: "MlflowClient", run: str) -> None:
            from mlflow.entities import Dataset, DatasetInput, InputTag

            inputs = client.get_run(run).inputs
            known = {each.dataset.digest for each in inputs.dataset_inputs} if inputs else set()
            new = [
                DatasetInput(
                    Dataset(
                        name=each.name,
                        digest=each.digest,
                        source_type="local",
                        source=json.dumps({"uri": each.path}),
                    ),
                    [InputTag("mlflow.data.context", each.context)],
                )
                for each in read
                if each.digest not in known
            ]
            if new:
                client.log_inputs(run, datasets=new)

        self._jobs.put(job)

    def tags(self, values: Mapping[str, str]) -> None:
        def job(client: "MlflowClient", run: str) -> None:
            from mlflow.entities import RunTag

            client.log_batch(run, tags=[RunTag(key, value) for key, value in values.items()])

        self._jobs.put(job)

    def forget(self, tag: str) -> None:
        """Take the tag away where the run has it."""

        def job(client: "MlflowClient", run: str) -> None:
            if tag in client.get_run(run).data.tags:
                client.delete_tag(run, tag)

        self._jobs.put(job)

    def describe(self, text: str) -> None:
        """The run's description, in Markdown; one that a person wrote or edited stays."""

        def job(client: "MlflowClient", run: str) -> None:
            for key, value in _description(client.get_run(run).data.tags, text).items():
                client.set_tag(run, key, value)

        self._jobs.put(job)

    def picture(self, name: str, path: Path, step: int) -> None:
        """A picture among others of that name; mlflow ui shows them by step. No slash in `name`."""

        def job(client: "MlflowClient", run: str) -> None:
            from PIL import Image

            with Image.open(path) as image:
                client.log_image(run, image, key=name, step=step)

        self._jobs.put(job)

    def file(self, path: Path, folder: str | None = None) -> None:
        self._jobs.put(lambda client, run: client.log_artifact(run, str(path), folder))

    def keep_run_id(self, path: Path) -> None:
        """Write the run's id to `path`, so that a killed training goes on in the same run."""

        def job(client: "MlflowClient", run: str) -> None:
            path.write_text(run)

        self._jobs.put(job)

    def _work(self) -> None:
        try:
            client, run = self._open()
            stop_watching = _watch_system(client, run) if self._system else lambda: None
            try:
                self._serve(client, run)
            except BaseException:
                # Not RUNNING for good; where the store is gone, this fails too.
                with suppress(Exception):
                    status = "FINISHED" if self._generator else "FAILED"
                    client.set_terminated(run, status, self._ended)
                raise
            finally:
                stop_watching()
        except Exception as error:  # whatever the store's driver raises
            self._fail(_reason(error))

    def _serve(self, client: "MlflowClient", run: str) -> None:
        """Do the jobs in their order. Each call takes time from the training, so points wait for
        others to go with them."""
        points: list[Point] = []
        due = 0.0
        while True:
            job: Job | list[Point] | None
            try:
                wait = max(0.0, due - time.monotonic()) if points else None
                job = self._jobs.get(timeout=wait)
            except queue.Empty:
                job = []
            if isinstance(job, list):
                due = due if points else time.monotonic() + GATHERED
                points += job
                if time.monotonic() < due:
                    continue
            _write(client, run, points)
            points = []
            if job is None:
                return
            if not isinstance(job, list):
                job(client, run)

    def _fail(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            log.warning("MLflow: %s; %s is not tracked from here on", reason, self._name)

    def _open(self) -> tuple["MlflowClient", str]:
        client, experiment = connect(self._root, self._experiment)
        known = client.get_experiment(experiment).tags
        for key, value in ({KIND_TAG: KIND} | known | _description(known, self._about)).items():
            if known.get(key) != value:
                client.set_experiment_tag(experiment, key, value)
        run = self._find(client, experiment)
        client.update_run(run, "RUNNING")
        return client, run

    def _find(self, client: "MlflowClient", experiment: str) -> str:
        if self._run_id:
            try:
                return str(client.get_run(self._run_id).info.run_id)
            except Exception:
                log.info("MLflow: the earlier run %s is gone; a new one is opened", self._run_id)
        if self._generator:
            runs = client.search_runs(
                [experiment],
                f"tags.`{GENERATOR_TAG}` = '{self._generator}'",
                max_results=1,
                order_by=["attributes.start_time DESC"],
            )
            if runs:
                self._ended = runs[0].info.end_time
                return str(runs[0].info.run_id)
            self._tags[GENERATOR_TAG] = self._generator
        tags = {COLOUR_TAG: _free_colour(client, experiment), **self._tags}
        return str(client.create_run(experiment, run_name=self._name, tags=tags).info.run_id)


def _description(tags: Mapping[str, str], text: str) -> dict[str, str]:
    """The tags that describe, beside those there are; none where a person did."""
    now = tags.get(DESCRIPTION_TAG)
    if not text or (now and _sha256(now) != tags.get(DESCRIBED_TAG)):
        return {}
    return {DESCRIPTION_TAG: text, DESCRIBED_TAG: _sha256(text)}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _free_colour(client: "MlflowClient", experiment: str) -> str:
    """One that none of the newest runs has."""
    newest = client.search_runs(
        [experiment], max_results=len(COLOURS) - 1, order_by=["attributes.start_time DESC"]
    )
    taken = {run.data.tags.get(COLOUR_TAG) for run in newest}
    return next(colour for colour in COLOURS if colour not in taken)


def connect(root: Path, experiment: str) -> tuple["MlflowClient", str]:
    """A client, and the id of the experiment, made if it is not there.

    Processes that start on a fresh database at once take turns.
    """
    from mlflow.exceptions import MlflowException

    (root / ".ganvas").mkdir(exist_ok=True)
    with FileLock(root / ".ganvas" / "mlflow.lock", timeout=120):
        client = _client(root)
        known = client.get_experiment_by_name(experiment)
        if known is None:
            artifacts = None if _server() else (root / places.ARTIFACTS).as_uri()
            try:
                made = client.create_experiment(experiment, artifact_location=artifacts)
            except MlflowException:  # another machine was first
                known = client.get_experiment_by_name(experiment)
                if known is None:
                    raise
            else:
                if artifacts:  # MLflow makes any place absolute that it is given
                    places.make_relative(root)
                return client, str(made)
        return client, str(known.experiment_id)


def search(root: Path, experiment: str, filter_string: str = "") -> "list[Run]":
    """The runs of an experiment, the newest first; none where there is no store.

    Raises `GanvasError` when the store cannot be read.
    """
    with reading():
        client = store(root)
        known = client and client.get_experiment_by_name(experiment)
        found: list[Run] = []
        page: Any = None
        while client and known and (page is None or page.token):
            page = client.search_runs(
                [known.experiment_id],
                filter_string,
                order_by=["attributes.start_time DESC"],
                page_token=page and page.token,
            )
            found += page
        return found


def store(root: Path) -> "MlflowClient | None":
    """A client to read with; None where there is no store."""
    return _client(root) if _server() or (root / places.STORE).exists() else None


@contextmanager
def reading() -> Iterator[None]:
    """Raise `GanvasError` where the store cannot be read within."""
    try:
        yield
    except GanvasError:
        raise
    except Exception as error:  # whatever the store's driver raises
        raise GanvasError(f"MLflow: {_reason(error)}; is MLFLOW_TRACKING_URI right?") from None


def moment(run: "Run") -> str:
    """When a run began."""
    return f"{datetime.fromtimestamp(run.info.start_time / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _client(root: Path) -> "MlflowClient":
    """MLFLOW_TRACKING_URI, else mlflow.db in `root`: what a bare `mlflow ui` opens there.

    Only in the latter the places of artifacts are seen to.
    """
    # A server that does not answer is given up on within seconds, not mlflow's minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Two lines on standard output whenever a stage ends.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # its import sets INFO
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # a line for each attempt
    if server := _server():
        return mlflow.MlflowClient(server)
    client = mlflow.MlflowClient(f"sqlite:///{root / places.STORE}")
    places.make_relative(root)
    places.find_beside_store()
    return client


def _server() -> str | None:
    return os.environ.get("MLFLOW_TRACKING_URI") or None


def _write(client: "MlflowClient", run: str, points: list[Point]) -> None:
    from mlflow.entities import Metric

    for start in range(0, len(points), 1000):  # the most that one call takes
        metrics = [Metric(*point) for point in points[start : start + 1000]]
        client.log_batch(run, metrics=metrics)


def _watch_system(client: "MlflowClient", run: str) -> Callable[[], None]:
    """Log the machine's load every 10 s until the function that is returned is called."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    # A store that goes down is reported once, by the tracker.
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    uri = client.tracking_uri
    monitor: Any = SystemMetricsMonitor(run, resume_logging=True, tracking_uri=uri)  # type: ignore[no-untyped-call]
    monitor.start()
    return lambda: monitor.finish()


def _reason(error: Exception) -> str:
    """What went wrong, in one line; of a network, what lies beneath mlflow's long account."""
    cause: BaseException = error
    while inner := cause.__cause__ or cause.__context__:
        cause = inner
    where, told = (f"{_server()}: ", cause) if isinstance(cause, OSError) else ("", error)
    return f"{where}{type(told).__name__}: {str(told).splitlines()[0][:200] if str(told) else ''}"
