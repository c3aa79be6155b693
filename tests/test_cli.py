"""The program `ganvas`: what it says of itself, what a shell completes, how it ends."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from repositories import ROOT, edit, environment, run

from ganvas.cli import cluster, draw, freshness, lineage, main, publish, score, summary, translate

EXAMPLES = {
    command.__name__.rpartition(".")[2]: [line.strip() for line in command.EXAMPLES.splitlines()]
    for command in (draw, translate, score, lineage, summary, freshness, publish, cluster)
}
GANVAS = ("python", "-m", "ganvas")
# No shell that completes a word may wait for them.
SLOW = {"torch", "mlflow", "matplotlib", "numpy", "scipy", "sklearn", "PIL", "jinja2"}


def words(text: str) -> str:
    """Help as one line, without the frames around it."""
    return re.sub(r"[\s│╭╮╰╯─]+", " ", text)


class TestHelp:
    def test_lists_every_command(self) -> None:
        shown = run(ROOT, *GANVAS, "--help").stdout
        assert shown == run(ROOT, "ganvas", "--help").stdout
        commands = re.findall(r"^│ ([a-z]+) {2,}\w", shown, re.MULTILINE)
        assert commands == list(EXAMPLES)

    @pytest.mark.parametrize("command", EXAMPLES)
    @pytest.mark.parametrize("columns", [80, 120])
    def test_shows_whole_examples(self, command: str, columns: int) -> None:
        shown = run(ROOT, *GANVAS, command, "--help", COLUMNS=str(columns)).stdout
        assert EXAMPLES[command] and all(
            f"   {line}\n" in re.sub(" +\n", "\n", shown) for line in EXAMPLES[command]
        )
        assert max(map(len, shown.splitlines())) <= columns
        assert words(shown).count("[required]") == {
            "draw": 2,
            "translate": 3,
            "score": 2,
            "summary": 1,
        }.get(command, 0)

    @pytest.mark.parametrize("example", [line for lines in EXAMPLES.values() for line in lines])
    def test_has_examples_that_can_be_typed(self, example: str) -> None:
        program, name, *arguments = shlex.split(example.partition(" > ")[0])
        assert program == "ganvas"
        command = typer.main.get_command(main.app).commands[name]  # type: ignore[attr-defined]
        command.make_context(name, arguments)  # raises on what it does not take
        with pytest.raises(typer.TyperException):
            command.make_context(name, [*arguments, "--zzz"])

    def test_is_shown_where_nothing_was_asked_for(self) -> None:
        done = run(ROOT, *GANVAS, check=False)
        assert done.returncode == 2 and done.stderr == ""
        assert done.stdout.strip() == run(ROOT, *GANVAS, "--help").stdout.strip()

    @pytest.mark.parametrize(
        "variables",
        [{}, {"_GANVAS_COMPLETE": "complete_bash", "COMP_WORDS": "ganvas dr", "COMP_CWORD": "1"}],
    )
    def test_waits_for_no_library_that_is_slow(self, variables: dict[str, str]) -> None:
        program = (
            "import atexit, sys; sys.argv = ['ganvas', '--help']; from ganvas.cli.main import main;"
            "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
        )
        done = run(ROOT, "python", "-c", program, **variables)
        assert "draw" in done.stdout
        loaded = set(done.stderr.split())
        assert "ganvas.cli.draw" in loaded and not loaded & SLOW


class TestCompletion:
    def completed(self, folder: Path, *typed: str) -> list[str]:
        """What bash offers for the last of the words, by the script that the program gives."""
        script = """
            eval "$(ganvas --show-completion bash)"
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            [[ $(complete -p ganvas) =~ -F\\ ([^ ]+) ]] && "${BASH_REMATCH[1]}" ganvas
            printf '%s\\n' "${COMPREPLY[@]}"
        """
        return run(folder, "bash", "-c", script, "bash", *typed).stdout.split()

    def test_of_a_command(self) -> None:
        assert self.completed(ROOT, "ganvas", "dr") == ["draw"]
        assert self.completed(ROOT, "ganvas", "") == list(EXAMPLES)

    def test_of_an_option(self) -> None:
        assert self.completed(ROOT, "ganvas", "lineage", "--re") == ["--rebuild"]

    def test_of_a_data_set(self, tmp_path: Path) -> None:
        typed = ("ganvas", "score", "images.npy", "--dataset", "")
        published = ["digits", "mnist", "fashion_mnist"]
        assert self.completed(ROOT, *typed) == [*published, "edges", "inverted", "dresses"]
        assert self.completed(ROOT, *typed[:-1], "fa") == ["fashion_mnist"]
        assert self.completed(tmp_path, *typed) == []  # no params.yaml there
        (tmp_path / "params.yaml").write_text("datasets: {one: {}, two: {}}")
        assert self.completed(tmp_path, *typed) == ["one", "two"]

    def test_of_the_shell_that_is_named(self) -> None:
        bash, zsh = (
            run(ROOT, *GANVAS, "--show-completion", shell).stdout for shell in ("bash", "zsh")
        )
        assert "complete -o default -F" in bash and "#compdef ganvas" not in bash
        assert zsh.strip().startswith("#compdef ganvas")
        variables = {"_TYPER_COMPLETE_ARGS": "ganvas dr", "_GANVAS_COMPLETE": "complete_zsh"}
        assert '"draw":"Draw images' in run(ROOT, "ganvas", **variables).stdout
        done = run(ROOT, *GANVAS, "--show-completion", "nosh", check=False)
        assert (done.returncode, done.stderr) == (1, "Shell nosh not supported.\n")

    def test_is_installed_for_the_shell_that_runs(self, tmp_path: Path) -> None:
        # Two commands: with one alone, bash would put the program in its own place.
        run(ROOT, "bash", "-c", "ganvas --install-completion; true", HOME=str(tmp_path))
        installed = tmp_path / ".bash_completions/ganvas.sh"
        assert str(installed) in (tmp_path / ".bashrc").read_text()
        assert (
            installed.read_text().strip() in run(ROOT, *GANVAS, "--show-completion", "bash").stdout
        )


class TestEnds:
    def refusal(self, folder: Path, *arguments: str, code: int) -> str:
        """The one line with which a command ends."""
        done = run(folder, *GANVAS, *arguments, check=False, PYTHONPATH=str(ROOT))
        assert done.returncode == code and done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        return line

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ("drw x", "No such command 'drw'. Did you mean 'draw'? see `ganvas --help`"),
            ("draw", "Missing argument 'WHAT'; see `ganvas draw --help`"),
            ("draw x", "Missing option '--out'; see `ganvas draw --help`"),
            ("draw x --out y.png --count 0", "Invalid value for '--count': "),
            ("draw x --out y.png --seed=-1", "Invalid value for '--seed': "),
            ("draw x --out y.png --colums 3", "No such option: --colums"),
            ("score images.npy", "Missing option '--dataset'"),
            ("publish everything", "unexpected extra argument"),
        ],
    )
    def test_with_2_where_it_is_not_understood(self, typed: str, said: str) -> None:
        assert said in self.refusal(ROOT, *typed.split(), code=2)

    @pytest.mark.parametrize(
        "typed",
        [
            "score images.npy --dataset digits",
            "lineage --verify",
            "summary --dataset digits",
            "freshness",
            "publish",
        ],
    )
    def test_with_1_outside_the_repository(self, typed: str, tmp_path: Path) -> None:
        line = self.refusal(tmp_path, *typed.split(), code=1)
        assert line == (
            "error: params.yaml: No such file or directory; run from the repository's root"
        )

    @pytest.mark.parametrize(
        "typed", ["lineage", "lineage x --verify", "lineage --verify --rebuild"]
    )
    def test_with_1_where_lineage_is_asked_for_nothing_or_two_things(self, typed: str) -> None:
        said = "lineage: give a file, a folder, a run's id, --verify or --rebuild"
        assert said in self.refusal(ROOT, *typed.split(), code=1)

    @pytest.mark.parametrize("command", ["score x.npy", "summary"])
    def test_with_1_for_a_data_set_that_is_none(self, command: str) -> None:
        line = self.refusal(ROOT, *command.split(), "--dataset", "digit", code=1)
        assert line == "error: unknown data set 'digit'; did you mean 'digits'?"

    def test_with_130_after_ctrl_c(self, tmp_path: Path) -> None:
        fifo = tmp_path / "params.yaml"
        os.mkfifo(fifo)  # reading it waits
        process = subprocess.Popen(
            [sys.executable, "-m", "ganvas", "freshness"],
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(ROOT)),
            stderr=subprocess.PIPE,
            text=True,
            # What a shell runs in the background ignores Ctrl-C, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            with fifo.open("w"):  # until the program reads
                time.sleep(0.1)
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=60)
        finally:
            process.kill()
        assert (process.returncode, said) == (130, "")

    def test_with_0_where_a_reader_has_read_enough(self, repository: Path) -> None:
        command = "set -o pipefail; python -m ganvas summary --dataset digits | true"
        assert run(repository, "bash", "-c", command).stderr == ""


class TestSummary:
    def test_shows_the_scores_of_every_model_beside_the_floor(self, repository: Path) -> None:
        shown = run(repository, *GANVAS, "summary", "--dataset", "digits").stdout
        rows = {line[:14].strip(): line[14:].split() for line in shown.splitlines()}
        table = (repository / "results/digits/dcgan/scores.csv").read_text()
        [fid] = re.findall(r"^classifier,fid,([^,]+)", table, re.MULTILINE)
        assert len(rows["gan"]) == len(rows["dcgan"]) == len(rows["real images"]) == 5
        assert float(rows["dcgan"][0]) == pytest.approx(float(fid), abs=0.006)
        assert "reports/digits/index.html" in shown
        assert "none is ahead" not in shown
        before = (repository / "params.yaml").read_text()
        edit(repository, datasets__digits__seed_deviation=0.9)
        shown = run(repository, *GANVAS, "summary", "--dataset", "digits").stdout
        (repository / "params.yaml").write_text(before)
        assert "gan and dcgan: seeds make more of a difference in FID, none is ahead." in shown

    def test_without_scores_says_what_makes_them(self, tmp_path: Path) -> None:
        (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
        done = run(
            tmp_path, *GANVAS, "summary", "--dataset", "mnist", check=False, PYTHONPATH=str(ROOT)
        )
        assert (done.returncode, done.stderr) == (
            1,
            "error: mnist: no scores by classifier for each model; `dvc repro report@mnist` makes "
            "them\n",
        )
