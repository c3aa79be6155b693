"""dvc.yaml lists, for each stage, what the stage's module imports: no less and no more.

What only one model uses, the modules that its recipe names, is linked below data/recipes/.
"""

import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ganvas import parts
from ganvas.errors import GanvasError
from ganvas.workflow import instances, modules, pipeline, provenance

ROOT = Path(__file__).parents[1]
EVERY: dict[str, dict[str, Any]] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
GROUP = "-translation"  # of stages that do the same for what is translated
STAGES = {stage: items for stage, items in EVERY.items() if not stage.endswith(GROUP)}
DATA = ("data/", "models/", "samples/", "results/", "reports/")
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for top in ("ganvas", "stages")
    for path in (ROOT / top).rglob("*.py")
)
USERS = {  # folder of links -> the stages that use what is in it
    "network": ["train", "select", "sample"],
    "training": ["train"],
}
FOLDER = {kind: folder for folder, (kinds, _) in modules.LINKED.items() for kind in kinds}
PARTS = [(kind, name) for kind in parts.FOLDERS for name in parts.names(kind)]


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def paths(entries: list[Any]) -> set[str]:
    """Of `outs` and the like, whose items are a path or {path: settings}."""
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


def outputs(stage: str) -> set[str]:
    return set().union(*(paths(STAGES[stage].get(k, [])) for k in ("outs", "metrics", "plots")))


def code(stage: str) -> set[str]:
    """The modules, templates and settings that the stage lists."""
    return {path for path in STAGES[stage]["deps"] if not path.startswith(DATA)}


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
    expected = {module} | modules.closure(module)
    if stage == "params":
        # Its purposes: to run again when what is allowed has changed, and to make links.
        for also in ("ganvas/config.py", "ganvas/workflow/modules.py"):
            expected |= {also} | modules.closure(also)
        expected.add("params.yaml")
    expected |= {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "ganvas").rglob("*.j2")
        if any(path.name in (ROOT / source).read_text() for source in expected)
    }
    assert code(stage) == expected


class TestParts:
    @pytest.mark.parametrize("stage", STAGES)
    def test_links_are_listed_where_the_part_is_used_and_nowhere_else(self, stage: str) -> None:
        listed = {path for path in STAGES[stage]["deps"] if path.startswith("data/recipes")}
        used = {folder for folder, users in USERS.items() if stage in users}
        assert listed == {f"data/recipes/${{item.dataset}}/${{item.model}}/{k}" for k in used}

    @pytest.mark.parametrize(("kind", "name"), PARTS)
    def test_all_that_one_imports_is_listed_or_linked(self, kind: str, name: str) -> None:
        own = parts.file(kind, name)
        linked = links(kind, name)
        assert own in linked
        for stage in USERS[FOLDER[kind]]:
            assert {own} | modules.closure(own) <= code(stage) | linked

    def test_every_kind_is_linked(self) -> None:
        assert FOLDER.keys() == parts.FOLDERS.keys()
        assert modules.LINKED.keys() == USERS.keys()

    @pytest.mark.parametrize("folder", modules.LINKED)
    def test_what_is_left_out_of_the_links_is_listed_by_every_user(self, folder: str) -> None:
        """So that a part that is not here yet may import it, too."""
        _, loader = modules.LINKED[folder]
        for stage in USERS[folder]:
            assert {loader} | modules.closure(loader) <= code(stage)

    @pytest.mark.parametrize(
        ("kind", "name"), [("objective", "non_saturating"), ("method", "adversarial")]
    )
    def test_a_folder_that_an_earlier_version_linked_is_still_read(
        self, kind: str, name: str
    ) -> None:
        """dvc.lock and the runs in MLflow have it until all is made again."""
        folder, recipe = f"data/recipes/mnist/gan/{kind}", {kind: name}
        own = parts.file(kind, name)
        md5 = hashlib.md5(Path(own).read_bytes()).hexdigest()
        assert pipeline.code(folder, recipe) == [own]
        expected = provenance.folder_hash({own.removeprefix("ganvas/"): md5})
        assert pipeline.code_hash(folder, recipe) == expected

    @pytest.mark.parametrize(("kind", "name"), PARTS)
    def test_no_stage_lists_one(self, kind: str, name: str) -> None:
        """Its edit would concern every model."""
        for stage in STAGES:
            assert parts.file(kind, name) not in code(stage)


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
def test_whose_work_several_processes_share_depends_on_their_number(stage: str) -> None:
    """On processors each has fewer threads, which shows in bytes."""
    shared = {"ganvas/splitting.py", "ganvas/training/launching.py"} & code(stage)
    assert bool(shared) == ("train.processes" in STAGES[stage].get("params", []))


@pytest.mark.parametrize("stage", STAGES)
def test_no_dependency_is_listed_twice(stage: str) -> None:
    assert len(set(STAGES[stage]["deps"])) == len(STAGES[stage]["deps"])


@pytest.mark.parametrize("stage", STAGES)
def test_stage_runs_the_module_of_its_name_with_its_own_items(stage: str) -> None:
    options = "".join(f" --{name} ${{item.{name}}}" for name in STAGES[stage].get("matrix", {}))
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}{options}"


def test_what_is_translated_goes_through_the_same_stages() -> None:
    assert EVERY.keys() - STAGES.keys() == {f"{stage}{GROUP}" for stage in STAGES} - {
        f"params{GROUP}"
    }
    for stage, items in EVERY.items():
        plain = STAGES[stage.removesuffix(GROUP)]
        if "do" in items:
            assert items["foreach"] == "${matrix.translations}"
            assert items["do"] | {"matrix": plain["matrix"]} == plain
        elif stage not in STAGES:
            assert items["matrix"] == {"dataset": "${matrix.translated}"}
            own = {"matrix", "params"} if stage == f"report{GROUP}" else {"matrix"}  # of its models
            assert {k: v for k, v in items.items() if k not in own} == {
                key: value for key, value in plain.items() if key not in own
            }


def test_every_stage_module_has_a_stage_and_every_stage_a_module() -> None:
    """A module says in its first line of which stage it is; nothing else is beside them."""
    claimed = {}
    names = {path.stem for path in (ROOT / "stages").iterdir() if path.name != "__pycache__"}
    assert names == {"__init__", *STAGES}
    for path in (ROOT / "stages").glob("*.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        if found := re.search(r"Stage `(\w+)` of dvc\.yaml", docstring.partition("\n\n")[0]):
            claimed[path.stem] = found[1]
    assert claimed == {stage: stage for stage in STAGES}


class TestStateOfATraining:
    """It is picked up again only under the code that made it."""

    def test_depends_on_the_code_that_stage_train_lists(self) -> None:
        instance = instances.instance("digits", "gan")
        hashes = pipeline.code_hashes("train", instance)
        links = {f"data/recipes/digits/gan/{folder}" for folder in modules.LINKED}
        assert hashes.keys() == code("train") | links
        assert None not in hashes.values()

    def test_changes_with_every_byte_of_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("ganvas", "stages"):
            shutil.copytree(name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("dvc.yaml", "params.yaml"):
            shutil.copy(name, tmp_path)
        monkeypatch.chdir(tmp_path)
        instance = instances.instance("digits", "gan")
        before = pipeline.code_hashes("train", instance)
        for dep in before:
            for file in pipeline.code(dep, instance.recipe.model_dump()):
                content = Path(file).read_bytes()
                Path(file).write_bytes(content + b"# edited\n")
                after = pipeline.code_hashes("train", instance)
                Path(file).write_bytes(content)
                assert {path for path in before if after[path] != before[path]} == {dep}, file
        Path("ganvas/networks/dcgan.py").write_text("# of another model\n")
        assert pipeline.code_hashes("train", instance) == before


def test_the_library_knows_neither_dvc_nor_the_stages() -> None:
    above = ("ganvas/workflow/", "ganvas/cli/", "ganvas/__main__.py")
    library = [f for f in SOURCES if f.startswith("ganvas/") and not f.startswith(above)]
    assert len(library) > 20
    assert [file for file in library if imported(file) & {"dvc", "dvclive", "stages"}] == []
    assert [f for f in library if any(i.startswith(above) for i in modules.direct(f))] == []


class TestImports:
    """The lists are only as good as what ganvas/workflow/modules.py sees."""

    def test_are_all_absolute(self) -> None:
        """It would overlook a relative one."""
        for file in SOURCES:
            nodes = ast.walk(ast.parse((ROOT / file).read_text()))
            assert not any(isinstance(n, ast.ImportFrom) and n.level for n in nodes), file

    def test_that_are_relative_are_refused_where_a_part_is_linked(self) -> None:
        """A user's own part is seen by no test of ours."""
        for line in ("from . import _blocks", "from ._blocks import SLOPE"):
            source = {"ganvas/networks/own.py": line.encode()}
            with pytest.raises(GanvasError, match=r"write `from ganvas\."):
                modules.closure("ganvas/networks/own.py", source.get)

    def test_only_parts_are_named_by_a_string(self) -> None:
        by_string = re.compile(r"import_module|__import__")
        found = [file for file in SOURCES if by_string.search((ROOT / file).read_text())]
        assert found == ["ganvas/parts.py"]

    def test_leave_out_only_modules_that_are_there(self) -> None:
        for left_out in modules.NO_DEPENDENCIES:
            assert any(file.startswith(left_out) for file in SOURCES), left_out

    @pytest.mark.parametrize("stage", STAGES)
    def test_contain_all_that_python_loads(self, stage: str) -> None:
        """Against the interpreter itself, for the modules that are loaded at the start."""
        module = f"stages/{stage}.py"
        found = set(loaded()[f"stages.{stage}"])
        assert module in found
        assert found - {module, "stages/__init__.py"} <= known(module)

    @pytest.mark.parametrize(("kind", "name"), PARTS)
    def test_contain_all_that_python_loads_for_a_part(self, kind: str, name: str) -> None:
        own = parts.file(kind, name)
        found = set(loaded()[dotted(own)])
        assert own in found
        for stage in USERS[FOLDER[kind]]:
            assert found <= links(kind, name) | known(f"stages/{stage}.py")


def links(kind: str, name: str) -> set[str]:
    """What is linked for a recipe that names this part, and of its folder no other."""
    recipe: dict[str, list[str]] = {other: [] for other in parts.FOLDERS}
    return set(modules.of_recipe(recipe | {kind: [name]}, FOLDER[kind]))


def known(module: str) -> set[str]:
    """What may be loaded for `module`: its closure, what changes nothing, and what that imports."""
    nothing = {file for file in SOURCES if file.startswith(modules.NO_DEPENDENCIES)}
    nothing |= {file for file in SOURCES if file.endswith("/__init__.py") and only_words(file)}
    return modules.closure(module).union(nothing, *map(modules.direct, nothing))


def only_words(file: str) -> bool:
    """Whether there is nothing but a docstring in it."""
    body = ast.parse((ROOT / file).read_text()).body
    return all(isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in body)


def dotted(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")


@cache
def loaded() -> dict[str, list[str]]:
    """What the module of each stage and part loads from here, each in a process of its own."""
    program = """
import importlib, json, os, sys
import torch, torchvision, pydantic, pooch, tqdm, safetensors.torch, ruamel.yaml
import pytorch_fid.inception
found = {}
for name in sys.argv[1:]:
    reader, writer = os.pipe()
    if not os.fork():
        importlib.import_module(name)
        files = [getattr(m, "__file__", None) for n, m in sys.modules.items()
                 if n.split(".")[0] in ("ganvas", "stages")]
        os.write(writer, json.dumps([os.path.relpath(f) for f in files if f]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        found[name] = json.loads(answer.read())
    os.wait()
print(json.dumps(found))
"""
    names = [f"stages.{stage}" for stage in STAGES]
    names += [dotted(parts.file(kind, name)) for kind, name in PARTS]
    done = subprocess.run(
        [sys.executable, "-c", program, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, list[str]] = json.loads(done.stdout)
    return answer
