"""Work that two processes share: the same bytes, in order, and no process is left behind."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from recipes import architecture
from repositories import ROOT, copy, edit, environment
from torch import Tensor, nn

from ganvas import devices, networks, splitting
from ganvas.data.questions import Questions
from ganvas.drawing import exam, sampling, translating
from ganvas.errors import GanvasError
from ganvas.evaluation import extractors
from ganvas.evaluation.classifier import Classifier
from ganvas.evaluation.extractors import Extractor
from ganvas.networks import translation
from ganvas.workflow import instances
from stages import evaluate, reference, sample, select

STREAM = torch.Generator().manual_seed(0)
PIXELS = torch.randint(256, (1130, 1, 16, 16), generator=STREAM, dtype=torch.uint8)
NUMBERS = [*zip(torch.arange(7))]  # views
TRANSLATOR = translation.Architecture("unet", (8, 8), "batch", 0, 0.5, "zeros", 1, 1, 16, 0, False)
ASKED = Questions(PIXELS[:600], PIXELS[:600], torch.arange(600))
TEAM = 2, "cpu", 1
LATE = 60  # seconds; a few are usual


@pytest.fixture(scope="module", autouse=True)
def at_once() -> Iterator[None]:
    """The other process need not wait until the work has turned out to be large."""
    devices.choose("cpu")
    # What is started in the background ignores Ctrl-C, and so would all that it starts.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "START", 0.0)
        patch.setenv("OMP_NUM_THREADS", "3")  # what the other would have without being told
        yield
    for other in splitting._others(*TEAM):
        other.shutdown(kill_workers=True)
    splitting._others.cache_clear()
    signal.signal(signal.SIGINT, usual)


def shared() -> int:
    """How often processes have been asked to share."""
    info = splitting._others.cache_info()
    return info.hits + info.misses


def who() -> Callable[..., Any]:
    """A function that says who was given what. Made here, it is sent itself, not this file."""

    def function(_: nn.Module, number: Tensor) -> tuple[int, int, int, int, Any]:
        bytes_, told = number.untyped_storage().nbytes(), signal.getsignal(signal.SIGINT)
        return int(number), os.getpid(), torch.get_num_threads(), bytes_, told

    return function


def test_every_other_batch_is_another_s_and_all_come_back_in_order() -> None:
    """Each has its share of the threads, this process all of its own back; no more than its own
    batches are sent to another, whom Ctrl-C does not disturb."""
    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    numbers, processes, threads, sizes, told = zip(
        *splitting.split(who(), nn.Linear(1, 1), NUMBERS, 2), strict=True
    )
    assert torch.get_num_threads() == 3
    torch.set_num_threads(usual)
    assert numbers == (*range(7),) and {*threads} == {1} and {*sizes[1::2]} == {8}
    assert {*told[1::2]} == {signal.SIG_IGN} and signal.SIG_IGN not in told[::2]
    assert {*processes[::2]} == {os.getpid()}
    assert len({*processes[1::2]}) == 1 and os.getpid() not in processes[1::2]


def test_this_process_works_alone_until_the_work_has_turned_out_to_be_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over several calls, and with its share of the threads from the start."""
    monkeypatch.setattr(splitting, "START", 2.5)
    monkeypatch.setattr(splitting, "_alone", [0.0])
    clock = itertools.count()  # a second each
    monkeypatch.setattr(splitting, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    before = shared()
    found = splitting.split(who(), nn.Linear(1, 1), NUMBERS[:2], 2)
    assert shared() == before
    found += splitting.split(who(), nn.Linear(1, 1), NUMBERS[2:], 2)
    torch.set_num_threads(usual)
    assert [number for number, *_ in found] == [*range(7)]
    assert {threads for _, _, threads, *_ in found} == {1}
    own = [process == os.getpid() for _, process, *_ in found]
    assert own == [True, True, True, True, False, True, False]


@pytest.mark.usefixtures("one_thread")
class TestBytes:
    """Of two processes they are those of one with as many threads as each of them has."""

    @pytest.mark.parametrize("layout", ["planes", "files"])
    def test_of_features(self, layout: str) -> None:
        torch.manual_seed(0)
        network = Classifier(1, 16, 8, 4).to(memory_format=torch.channels_last)
        images = PIXELS if layout == "planes" else PIXELS[:, 0].numpy()
        extractor = Extractor("classifier", network.eval(), torch.device("cpu"), "")
        before, expected = shared(), extractor.extract(images)
        found = extractor._replace(processes=2).extract(images)
        assert shared() == before + 1
        assert [len(each) for each in found] == [1130] * 2 and len(found.features.unique()) > 99
        assert all(map(torch.equal, found, expected))

    @pytest.mark.parametrize("recipe", ["gan", "cdcgan"])
    def test_of_images_of_noise(self, recipe: str) -> None:
        generator = networks.build(architecture(recipe, latent_dim=8), seed=1)[0].eval()
        before, expected = shared(), exam.draw(generator, None, 1130, 3)
        found = exam.draw(generator, None, 1130, 3, processes=2)
        assert shared() == before + 1
        assert (found.images == expected.images).all() and (found.images[600:] != 127).any()
        z = torch.randn(530, 8, generator=torch.Generator().manual_seed(0))  # the last: 30
        labels = None if found.classes is None else torch.arange(530) % 3
        apart = sampling.draw(generator, z, labels, 2)
        assert torch.equal(apart, sampling.draw(generator, z, labels))

    @pytest.mark.parametrize("domains", [0, 2])
    def test_of_translations(self, domains: int) -> None:
        """Noise in the layers included."""
        made = TRANSLATOR._replace(domains=domains)
        generator = translation.build(made, 3).eval().requires_grad_(False)
        asked = ASKED
        if domains:
            origins = torch.arange(600) % domains
            asked = Questions(ASKED.inputs, None, origins, 1 - origins, origins)
        before, expected = shared(), exam.draw(generator, asked, 0, 5, back=True)
        found = exam.draw(generator, asked, 0, 5, back=True, processes=2)
        assert shared() == before + (2 if domains else 1)
        assert (found.images == expected.images).all() and (found.images[300:] != 128).any()
        if domains:
            assert (found.returned == expected.returned).all()


def test_stages_have_their_work_shared_as_params_yaml_says(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy(repository, tmp_path / "repository")
    edit(folder, train__processes=2)
    monkeypatch.chdir(folder)
    asked: list[int] = []

    def split(function: Any, network: Any, batches: Any, processes: int = 1) -> list[Any]:
        asked.append(processes)
        return splitting.split(function, network, batches)

    for user in (extractors, sampling, translating):
        monkeypatch.setattr(user, "split", split)
    reference.main(instances.data_set("digits"))
    for stage, drawn_and_seen in ((select, 4), (sample, 1), (evaluate, 1)):
        before = len(asked)
        stage.main(instances.instance("digits", "gan"))
        assert asked[before:].count(2) == drawn_and_seen, stage
    assert asked[:3] == [2, 2, 2]


def test_what_another_raises_is_raised_here() -> None:
    def fail(_: nn.Module, number: Tensor) -> None:
        if number == 1:
            raise GanvasError("images: cannot be drawn")

    with pytest.raises(GanvasError, match=r"^images: cannot be drawn$"):
        splitting.split(fail, nn.Linear(1, 1), NUMBERS, 2)


def test_where_one_is_killed_one_line_says_so_before_the_rest_is_done() -> None:
    done, here = list[int](), os.getpid()

    def killed(_: nn.Module, number: Tensor) -> None:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(LATE / len(many))
        done.append(int(number))

    many = NUMBERS * 100
    line = r"^one of 2 processes was killed, perhaps for want of memory; run it again, with fewer "
    with pytest.raises(GanvasError, match=line + r"train\.processes if that happens again$"):
        splitting.split(killed, nn.Linear(1, 1), many, 2)
    assert len(done) < len(many) / 2 - 10  # this process's share
    assert splitting._others.cache_info().currsize == 0


ENDLESS = """
import os, time
from torch import nn, tensor
from ganvas import splitting
from ganvas.workflow import program
def work(_, number):
    print(os.getpid(), flush=True)
    time.sleep(100)
splitting.START = 0
with program.errors_in_one_line():
    splitting.split(work, nn.Linear(1, 1), [(tensor(0),), (tensor(1),)], 2)
"""


@pytest.mark.parametrize(("how", "after"), [(signal.SIGINT, 1), (signal.SIGKILL, 2)])
def test_no_process_is_left_behind(how: signal.Signals, after: int) -> None:
    """Ctrl-C, which all are told, while the other starts; and the first killed in mid-work."""
    first = subprocess.Popen(
        [sys.executable, "-c", ENDLESS],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert first.stdout
    for _ in range(after):
        assert first.stdout.readline()
    others = psutil.Process(first.pid).children(recursive=True)
    assert others
    if how == signal.SIGINT:
        time.sleep(1)  # of the seconds that the other takes
        os.killpg(first.pid, how)
    else:
        first.kill()
    _, said = first.communicate(timeout=LATE)  # which waits until all have let go of the pipes
    if how == signal.SIGINT:
        assert (first.returncode, said) == (130, "")
    else:  # joblib says that it clears up
        assert first.returncode == -signal.SIGKILL and "Traceback" not in said
    assert not psutil.wait_procs(others, LATE)[1]
