"""dvc.yaml lists, for each stage, what the stage's module imports: no less and no more."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import imports
import pytest
from ruamel.yaml import YAML

from stages import train

ROOT = Path(__file__).parents[1]
STAGES: dict[str, dict[str, Any]] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
DATA = ("data/", "models/", "samples/", "results/", "reports/")
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for top in ("ganvas", "stages")
    for path in (ROOT / top).rglob("*.py")
)


def paths(entries: list[Any]) -> set[str]:
    """Of `outs` and the like, whose items are a path or {path: settings}."""
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


def outputs(stage: str) -> set[str]:
    return set().union(*(paths(STAGES[stage].get(k, [])) for k in ("outs", "metrics", "plots")))


def imported(file: str) -> set[str]:
    """First parts of the names of all modules that `file` imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_stage_lists_its_own_module_and_exactly_what_it_imports(stage: str) -> None:
    module = f"stages/{stage}.py"
    expected = {module} | imports.closure(module)
    if stage == "params":
        # Its one purpose: to run again when what is allowed has changed.
        expected |= {"ganvas/config.py", "params.yaml"} | imports.closure("ganvas/config.py")
    expected |= {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "ganvas").rglob("*.j2")
        if any(path.name in (ROOT / source).read_text() for source in expected)
    }
    listed = {path for path in STAGES[stage]["deps"] if not path.startswith(DATA)}
    assert listed == expected


@pytest.mark.parametrize("stage", STAGES)
def test_dependency_on_data_is_an_output_of_another_stage(stage: str) -> None:
    made = {path for other in STAGES if other != stage for path in outputs(other)}
    for path in STAGES[stage]["deps"]:
        if path.startswith(DATA):
            # An output, something in one, or a folder that holds some.
            assert any(
                f"{path}/".startswith(f"{out}/") or out.startswith(f"{path}/") for out in made
            )


@pytest.mark.parametrize("stage", STAGES)
def test_no_dependency_is_listed_twice(stage: str) -> None:
    assert len(set(STAGES[stage]["deps"])) == len(STAGES[stage]["deps"])


@pytest.mark.parametrize("stage", STAGES)
def test_stage_runs_the_module_of_its_name_with_its_own_items(stage: str) -> None:
    options = "".join(f" --{name} ${{item.{name}}}" for name in STAGES[stage].get("matrix", {}))
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}{options}"


def test_every_stage_module_has_a_stage_and_every_stage_a_module() -> None:
    """A module says in its first line of which stage it is; helpers and tools are of none."""
    claimed = {}
    for path in (ROOT / "stages").glob("*.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        if found := re.search(r"Stage `(\w+)` of dvc\.yaml", docstring.partition("\n\n")[0]):
            claimed[path.stem] = found[1]
    assert claimed == {stage: stage for stage in STAGES}


def test_state_of_a_training_is_picked_up_only_by_the_modules_that_stage_train_lists() -> None:
    listed = [path for path in STAGES["train"]["deps"] if path.startswith("ganvas/")]
    assert [f"ganvas/{module}" for module in train.MODULES] == listed


def test_only_what_talks_to_it_imports_mlflow() -> None:
    talking = ["ganvas/registry.py", "ganvas/serving.py", "ganvas/tracking.py"]
    talking += ["stages/lineage.py", "stages/mirror.py"]  # the names of its types
    assert [file for file in SOURCES if "mlflow" in imported(file)] == talking


def test_the_library_knows_neither_dvc_nor_the_stages() -> None:
    library = [file for file in SOURCES if file.startswith("ganvas/")]
    assert len(library) > 20
    assert [file for file in library if imported(file) & {"dvc", "dvclive", "stages"}] == []


class TestImports:
    """The lists are only as good as what tests/imports.py sees."""

    def test_are_all_absolute(self) -> None:
        """It would overlook a relative one."""
        for file in SOURCES:
            nodes = ast.walk(ast.parse((ROOT / file).read_text()))
            assert not any(isinstance(n, ast.ImportFrom) and n.level for n in nodes), file

    def test_names_no_module_by_a_string(self) -> None:
        for file in SOURCES:
            assert not re.search(r"import_module|__import__", (ROOT / file).read_text()), file

    def test_leave_out_only_modules_that_are_there(self) -> None:
        assert set(SOURCES) >= imports.NO_DEPENDENCIES

    @pytest.mark.parametrize("stage", STAGES)
    def test_contain_all_that_python_loads(self, stage: str) -> None:
        """Against the interpreter itself, for the modules that are loaded at the start."""
        helpers = {f"stages/{stage}.py", "stages/__init__.py"}
        helpers |= {"stages/cli.py", "stages/mirror.py", "stages/paths.py", "stages/provenance.py"}
        helpers |= {"stages/pipeline.py"}
        found = set(loaded()[stage])
        assert f"stages/{stage}.py" in found
        known = imports.closure(f"stages/{stage}.py") | imports.NO_DEPENDENCIES
        for module in imports.NO_DEPENDENCIES:
            known |= imports.direct(module)
        assert found - helpers <= known


@cache
def loaded() -> dict[str, list[str]]:
    """What each stage's module loads from this repository, each in a process of its own."""
    program = """
import importlib, json, os, sys
import torch, torchvision, pydantic, pooch, tqdm, safetensors.torch, ruamel.yaml
import pytorch_fid.inception
found = {}
for stage in sys.argv[1:]:
    reader, writer = os.pipe()
    if not os.fork():
        importlib.import_module(f"stages.{stage}")
        files = [getattr(m, "__file__", None) for n, m in sys.modules.items()
                 if n.split(".")[0] in ("ganvas", "stages")]
        os.write(writer, json.dumps([os.path.relpath(f) for f in files if f]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        found[stage] = json.loads(answer.read())
    os.wait()
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *STAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, list[str]] = json.loads(done.stdout)
    return answer
