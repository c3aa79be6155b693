"""A team's servers, for real: MLflow on PostgreSQL and S3, and a DVC remote on S3."""

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from background import answers, free_port, serving
from repositories import commit, copy, edit, environment, ran, run
from ruamel.yaml import YAML

from ganvas.workflow import provenance

PACKAGES = ("boto3", "dvc_s3", "moto", "psycopg")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "team",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class Servers(NamedTuple):
    database: str
    s3: str
    mlflow: str
    logs: Path

    @property
    def client(self) -> dict[str, str]:
        """The environment of someone who works with them."""
        return {"MLFLOW_TRACKING_URI": self.mlflow, **CREDENTIALS}

    def bucket(self, name: str) -> Any:
        import boto3

        keys = {key.lower(): value for key, value in CREDENTIALS.items() if "KEY" in key}
        return boto3.resource(
            "s3", endpoint_url=self.s3, region_name=CREDENTIALS["AWS_DEFAULT_REGION"], **keys
        ).Bucket(name)


def postgresql_binary(name: str) -> str | None:
    # Debian keeps a server's programs off PATH.
    folders = [str(folder) for folder in Path("/usr/lib/postgresql").glob("*/bin")]
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *folders]))


@contextmanager
def postgresql(log: Path) -> Iterator[str]:
    """The URI of an empty database."""
    import psycopg

    initdb, postgres = postgresql_binary("initdb"), postgresql_binary("postgres")
    password, port = secrets.token_hex(16), free_port()
    uri = f"postgresql://mlflow:{password}@127.0.0.1:{port}/postgres"
    # Not under pytest's folder: that is closed to other users, and PostgreSQL refuses to be root.
    with tempfile.TemporaryDirectory(prefix="ganvas-postgresql-") as folder:
        (Path(folder) / "password").write_text(password)
        user: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            user |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        create = [initdb, "--pgdata=data", "--username=mlflow", "--pwfile=password"]
        create += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(create, capture_output=True, text=True, **user)
        assert done.returncode == 0, done.stdout + done.stderr
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
        }
        command = [postgres, "-D", "data"]
        command += [f"--{name}={value}" for name, value in settings.items()]
        with serving(log, command, lambda: psycopg.connect(uri).close(), **user):
            yield uri


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    missing = [name for name in PACKAGES if find_spec(name) is None]
    missing += [name for name in ("initdb", "postgres") if not postgresql_binary(name)]
    if missing:
        pytest.skip(f"NOT TESTED: {', '.join(missing)} not installed (ganvas[dev], PostgreSQL)")
    folder, ports = tmp_path_factory.mktemp("servers"), (free_port(), free_port())
    s3, mlflow = (f"http://127.0.0.1:{port}" for port in ports)
    with ExitStack() as stack:
        database = stack.enter_context(postgresql(folder / "postgresql.log"))
        team = Servers(database, s3, mlflow, folder)
        moto = [sys.executable, "-m", "moto.server", "--port", str(ports[0])]
        stack.enter_context(
            serving(folder / "s3.log", moto, lambda: answers(f"{s3}/moto-api/"), env=environment())
        )
        for name in ("mlflow", "dvc"):
            team.bucket(name).create()
        server = [sys.executable, "-m", "mlflow", "server", "--port", str(ports[1])]
        server += ["--backend-store-uri", database, "--artifacts-destination", "s3://mlflow"]
        variables = environment(
            MLFLOW_S3_ENDPOINT_URL=s3,
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",  # more processes, for language models
            MLFLOW_DISABLE_TELEMETRY="true",
            **CREDENTIALS,
        )
        stack.enter_context(
            serving(
                folder / "mlflow.log",
                [*server, "--workers", "1"],
                lambda: answers(f"{mlflow}/health"),
                env=variables,
                cwd=folder,
            )
        )
        yield team


@pytest.fixture(autouse=True)
def logs_of_a_failure(servers: Servers) -> Iterator[None]:
    """Pytest shows what is printed here beside a test that failed."""
    yield
    for log in servers.logs.glob("*.log"):
        print(f"{log.name}:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="module")
def repository(original: Path, tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Path:
    """Where one member of the team trained both models anew, for one epoch, and pushed all."""
    folder = copy(original, tmp_path_factory.mktemp("team") / "repository")
    (folder / "mlflow.db").unlink()
    for name in ("mlruns", "runs", ".ganvas"):
        shutil.rmtree(folder / name)
    tiny = {"epochs": 1, "checkpoint_every": 1}
    edit(folder, datasets__digits__models={"gan": dict(tiny), "dcgan": dict(tiny)})
    edit(folder, tracking__enabled=True)
    commit(folder, "one epoch")
    done = run(folder, "dvc", "repro", **servers.client)
    assert "not tracked" not in done.stdout + done.stderr, done.stderr
    stages = ("train", "select", "sample", "evaluate")
    of_models = {f"{stage}@digits-{model}" for stage in stages for model in ("gan", "dcgan")}
    assert ran(done) == {"params", "report@digits"} | of_models
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, servers: Servers, repository: Path) -> Path:
    """Where another one took it over."""
    folder = tmp_path_factory.mktemp("clone") / "ganvas"
    run(repository, "dvc", "remote", "add", "--default", "team", "s3://dvc/ganvas")
    run(repository, "dvc", "remote", "modify", "team", "endpointurl", servers.s3)
    commit(repository, "everything made")
    run(repository, "dvc", "push", **servers.client)
    run(repository.parent, "git", "clone", "-q", str(repository), str(folder))
    return folder


def runs(servers: Servers) -> dict[str, Any]:
    """The runs that the server has, by name."""
    from mlflow import MlflowClient

    client = MlflowClient(servers.mlflow)
    experiment = client.get_experiment_by_name("digits")
    assert experiment
    found = client.search_runs([experiment.experiment_id])
    assert len(found) == len({run.info.run_name for run in found})
    return {run.info.run_name: run for run in found}


def test_a_repro_writes_its_runs_to_the_server(repository: Path, servers: Servers) -> None:
    from mlflow import MlflowClient

    client, tracked = MlflowClient(servers.mlflow), runs(servers)
    assert set(tracked) == {"digits-gan", "digits-dcgan"}
    for trained in tracked.values():
        assert trained.info.status == "FINISHED"
        assert trained.data.params["epochs"] == "1"
        assert {"generator_loss", "checkpoint_fid", "classifier.fid"} <= set(trained.data.metrics)
        curve = client.get_metric_history(trained.info.run_id, "discriminator_loss")
        assert len({point.step for point in curve}) > 1
        assert client.list_artifacts(trained.info.run_id, "images")
    assert not list(repository.glob("mlflow.db*")) and not (repository / "mlruns").exists()


def test_the_data_sets_are_inputs_under_dvcs_hashes(repository: Path, servers: Servers) -> None:
    data = repository / "data/normalized/digits"
    for tracked in runs(servers).values():
        inputs = {
            (each.dataset.name, each.dataset.digest, each.tags[0].value)
            for each in tracked.inputs.dataset_inputs
        }
        assert inputs == {
            ("digits/train", provenance.dvc_hash(data / "train.safetensors"), "training"),
            ("digits/test", provenance.dvc_hash(data / "test.safetensors"), "evaluation"),
        }


def test_the_best_generator_is_marked_there_and_draws_anywhere(
    repository: Path, servers: Servers, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(servers.mlflow)
    versions = client.search_model_versions("name = 'ganvas-digits'")
    tracked = runs(servers)
    assert {version.tags["model"]: version.run_id for version in versions} == {
        model: tracked[f"digits-{model}"].info.run_id for model in ("gan", "dcgan")
    }
    fids = {
        model: tracked[f"digits-{model}"].data.metrics["classifier.fid"]
        for model in ("gan", "dcgan")
    }
    lowest = min(fids, key=lambda model: float(fids[model]))
    best = client.get_model_version_by_alias("ganvas-digits", "best")
    assert best.tags["model"] == lowest and float(best.tags["fid"]) == fids[lowest]
    # Elsewhere, without a key for S3: the artifacts come through the server.
    program = (
        "import mlflow, numpy; generator = mlflow.pyfunc.load_model('models:/ganvas-digits@best');"
        "numpy.save('drawn.npy', generator.predict([{'images': 5, 'seed': 0}]))"
    )
    run(tmp_path, "python", "-c", program, MLFLOW_TRACKING_URI=servers.mlflow)
    samples = np.load(repository / "samples/digits" / lowest / "images.npy")
    assert np.array_equal(np.load(tmp_path / "drawn.npy"), samples[:5])


def test_the_runs_are_in_postgresql_and_the_pictures_in_s3(
    repository: Path, servers: Servers
) -> None:
    import psycopg

    with psycopg.connect(servers.database) as database:
        stored = {row[0] for row in database.execute("select run_uuid from runs")}
    assert stored == {run.info.run_id for run in runs(servers).values()}
    objects = list(servers.bucket("mlflow").objects.all())
    for run_id in stored:
        pictures = [o for o in objects if f"/{run_id}/artifacts/images/" in o.key]
        assert any(o.get()["Body"].read(8) == b"\x89PNG\r\n\x1a\n" for o in pictures)


def test_a_pull_brings_back_every_output_and_nothing_runs_again(
    clone: Path, servers: Servers
) -> None:
    stages = YAML(typ="safe").load((clone / "dvc.lock").read_text())["stages"]
    outputs = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    assert not (clone / "models").exists()
    run(clone, "dvc", "pull", **servers.client)
    links = {path: outputs.pop(path) for path in ("data/recipes", "data/places")}  # kept nowhere
    assert {path: provenance.dvc_hash(clone / path) for path in outputs} == outputs
    assert ran(run(clone, "dvc", "repro", **servers.client)) == {"params"}
    assert {path: provenance.dvc_hash(clone / path) for path in links} == links
    done = run(clone, "dvc", "repro", **servers.client)
    assert ran(done) == set() and "up to date" in done.stdout


def test_what_a_colleague_measures_lands_in_the_run_of_the_training(
    clone: Path, servers: Servers
) -> None:
    from mlflow import MlflowClient

    before = runs(servers)["digits-gan"]
    run(clone, "dvc", "pull", "-q", **servers.client)
    command = ["dvc", "repro", "--force", "--single-item", "evaluate@digits-gan"]
    run(clone, *command, **servers.client)
    after = runs(servers)["digits-gan"]
    assert after.info.run_id == before.info.run_id
    client = MlflowClient(servers.mlflow)
    fids = client.get_metric_history(after.info.run_id, "classifier.fid")
    assert len(fids) == 2 and fids[0].value == fids[1].value


def test_lineage_speaks_of_the_servers_runs_and_fills_a_server(
    repository: Path, servers: Servers
) -> None:
    from mlflow import MlflowClient

    def lineage(*arguments: str) -> str:
        return run(
            repository, "python", "-m", "ganvas", "lineage", *arguments, **servers.client
        ).stdout

    client, before = MlflowClient(servers.mlflow), runs(servers)
    of_gan = before["digits-gan"].info.run_id
    assert f"MLflow run  {of_gan} " in lineage("samples/digits/gan/grid.png")
    assert "train@digits-gan" in lineage(of_gan)
    assert lineage("--verify").count(": matches") == 2
    # As on a server that a team has just set up.
    for known in before.values():
        client.delete_run(known.info.run_id)
    assert lineage("--rebuild").splitlines() == ["digits-gan: written", "digits-dcgan: written"]
    assert lineage("--verify").count(": matches") == 2
    for name, rebuilt in runs(servers).items():
        assert rebuilt.info.run_id != before[name].info.run_id
        assert rebuilt.data.params == before[name].data.params
        artifacts = {file.path for file in client.list_artifacts(rebuilt.info.run_id)}
        assert {"images", "report", "grid.png", "interpolation.png"} <= artifacts
