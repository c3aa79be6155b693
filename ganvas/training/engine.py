"""The engine: a method's iterations, one after the other, as fast and as repeatable as we know how.

The data lie on the device as uint8 tensors; batches, noise and measurements stay there too, so that
the processor never waits for the device inside the loop. Data too large for a GPU stay on the host,
and batches are sent ahead. On CUDA one iteration is captured as a CUDA graph and replayed;
everywhere else, and where that fails, the same code runs eagerly. What an iteration does, and what
it minimises, is the method's business (`ganvas/training/methods/`).
"""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ganvas import parts, seeds
from ganvas.errors import GanvasError
from ganvas.training import batch_norm
from ganvas.training.optimizers import Optimizer
from ganvas.training.sharing import ALONE, Sharing

if TYPE_CHECKING:
    from ganvas.config import Training

log = logging.getLogger(__name__)

Batch = Mapping[str, Tensor]
# What a method draws from, each a generator on the device that the state holds: what goes into a
# generator, and what is done to images before a discriminator sees them. Dropout has its own.
STREAMS = ("noise", "augment")
PROCESSES = "processes"  # in the state of a training that several share
# Data that take more than this share of a GPU's free memory stay on the host: the rest is for
# networks, their gradients and moments, and what a batch leaves between its layers.
SHARE_FOR_DATA = 0.5


class Method(Protocol):
    """What an iteration does: the class `Method` of a module of `ganvas/training/methods/`.

    It is made from a recipe, the data (whose shapes it may look at) and a seed, on the CPU; the
    engine moves `networks` to the device before it calls anything else.
    """

    # What `iterate` returns, discriminator_loss and generator_loss among it. What ends in _loss has
    # to stay finite.
    measures: tuple[str, ...]
    generators: tuple[str, ...]  # the networks that draw: averaged, and saved in checkpoints
    networks: dict[str, nn.Module]
    memories: dict[str, nn.Module]  # what else the next iteration depends on, in their buffers
    batches: int  # of `batch_size` examples, that an iteration is given as one
    # 1, or: of so many iterations the first is full, and those after it do less (`Engine.full`).
    every: int
    capturable: bool  # whether an iteration does the same work each time, as a CUDA graph must
    shareable: bool  # whether it draws noise for whole batches, and takes its share of it
    # What it takes to build each generator again, as JSON; lies beside its checkpoints.
    architectures: Mapping[str, Mapping[str, Any]]

    def __init__(self, recipe: Any, data: Mapping[str, Tensor], seed: int) -> None: ...

    def examples(self, data: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """What an iteration is given batches of: tensors by name, all of one first dimension.

        `data` is a split, as the method was made from.
        """

    def optimizers(self) -> dict[str, Optimizer]:
        """One for each group of parameters that learns at once; called when they are in place."""

    def iterate(self, engine: "Engine", batch: Batch) -> Sequence[Tensor]:
        """One iteration; returns a scalar for each of `measures`. Runs no Python when replayed.

        `batch` is what this process has of it. Noise is drawn for the whole batch, and
        `engine.sharing` gives the rows that are its own; alone, all are.
        """

    def draw(self, engine: "Engine", real: Batch) -> Tensor:
        """Rows of images uint8 (R, N, C, H, W) on the CPU, for the progress pictures.

        `real` are examples that it may draw from, the same each time.
        """

    def columns(self, domains: Sequence[str]) -> Sequence[str]:
        """What stands in each row of those pictures, where that has names; `domains` are theirs."""

    def judge(
        self, engine: "Engine", real: Sequence[Batch], stream: torch.Generator
    ) -> Sequence[Tensor]:
        """The discriminator's outputs, float (B,), real or generated, the higher the more real.

        To each batch of real images, and to as many generated as the first has; what is drawn comes
        from `stream`. Called within `Engine.judging`.
        """


class Engine:
    """A method's networks, optimizers and random streams, after `iteration` iterations.

    Of a recipe with `lr_decay_from` below 1 the rates fall in a straight line, from their whole at
    that share of its epochs to 0 at their end.

    An epoch shows each example once at most, in a fresh random order: N // (batches * batch_size)
    iterations of as many batches as the method asks for. The examples left over are dropped, since
    a CUDA graph needs one batch shape. With `horizontal_flips` about half of its images are shown
    as in a mirror, others in each epoch.
    """

    def __init__(
        self,
        recipe: "Training",
        data: Mapping[str, Tensor],
        seed: int,
        device: torch.device,
        precision: str = "float32",
        longest: int = 100,
        capture: bool = True,
        on_host: bool | None = None,
        sharing: Sharing = ALONE,
    ) -> None:
        """`data` are tensors by name, those of images uint8 (M, C, H, W); the method says what of
        them is an example, of which there are N.

        `longest` bounds the iterations of one `advance`. Without
        `capture` iterations run eagerly on CUDA too. `on_host` keeps the data in the computer's
        memory; by default they are where they do not fit into the device's. Neither shows in the
        result. Of several processes, `sharing` says which this is: all are made alike, process 0
        is told to `advance`, the others `follow`. Raises `GanvasError` when a batch is larger than
        the data, or cannot be shared.
        """
        self.recipe, self.seed, self.device, self.precision = recipe, seed, device, precision
        self.iteration, self.sharing = 0, sharing
        sharing.check(recipe.batch_size)
        self.method: Method = parts.load("method", recipe.method).Method(recipe, data, seed)
        data = self.method.examples(data)
        examples = len(next(iter(data.values())))
        shown = self.method.batches * recipe.batch_size  # in one iteration
        if shown > examples:
            times = f"{self.method.batches} times " * (self.method.batches > 1)
            raise GanvasError(
                f"batch_size: {times}{recipe.batch_size} is more than the {examples} training "
                "images"
            )
        self.iterations_per_epoch: int = examples // shown
        self._shown = shown
        if sharing.processes > 1 and not getattr(self.method, "shareable", False):
            raise GanvasError(
                f"method: {recipe.method} cannot be shared by several processes (shareable, in its "
                "class, is not True); set train.processes: 1"
            )
        for network in self.method.networks.values():
            if sharing.sync_batch_norm:
                batch_norm.convert(network, sharing.processes)
            elif sharing.processes == recipe.batch_size:
                batch_norm.check_single(network)
        for network in (*self.method.networks.values(), *self.method.memories.values()):
            network.to(memory_format=torch.channels_last).to(device)
        self.averages = {
            name: copy.deepcopy(self.method.networks[name]).requires_grad_(False)
            for name in self.method.generators
            if recipe.ema_decay
        }
        self.optimizers = self.method.optimizers()
        self.streams = {name: seeds.generator(seed, name, device=device) for name in STREAMS}
        # Of each process one after the other: what one drops, the others need not.
        of_processes = [(), *((rank,) for rank in range(1, sharing.processes))]
        self._layers = torch.cat(
            [seeds.generator(seed, "layers", *r, device=device).get_state() for r in of_processes]
        )
        if on_host is None:
            on_host = _too_large(data, device)
        self._host = _Host(data, shown // sharing.processes, device) if on_host else None
        self._data = (
            {} if self._host else {name: values.to(device) for name, values in data.items()}
        )
        self._order = torch.zeros(
            examples, dtype=torch.int64, device="cpu" if self._host else device
        )
        # By the place in the epoch, not by the example, which the device need not know.
        self._flipped = torch.zeros(examples, 1, 1, 1, dtype=torch.bool, device=device)
        self._order_epoch = -1
        # Counters live on the device, since a replayed graph runs no Python.
        self._lane = sharing.mine(torch.arange(shown, device=device), self.method.batches)
        self._cursor = torch.zeros((), dtype=torch.int64, device=device)
        self._done = torch.zeros((), dtype=torch.int64, device=device)  # iterations
        self._measured = torch.zeros(longest, len(self.method.measures), device=device)
        self._rows = torch.arange(longest, device=device)[:, None]
        self._row = torch.zeros((), dtype=torch.int64, device=device)
        self._capturing = capture and self.method.capturable and device.type == "cuda"
        # Full iterations do other work than those between them: a graph each.
        self._graphs: dict[bool, torch.cuda.CUDAGraph] = {}
        self._every: int = getattr(self.method, "every", 1)
        self.full = True  # whether the iteration that runs is
        self._sent = False  # whether the other processes have had the state

    @property
    def captured(self) -> bool:
        """Whether iterations are replayed from a CUDA graph; known after the first `advance`."""
        return bool(self._graphs)

    def advance(self, iterations: int) -> Tensor:
        """Run that many iterations; return the measures of each, float32 (iterations, M), CPU.

        The processor waits for the device at the end alone, and where an epoch's order is drawn.
        Of several processes' measures, the means over them.
        """
        if self.sharing.processes > 1:
            self._lead(iterations)
        rows = self._advance(iterations)
        self.sharing.idle = True
        return rows

    def follow(self) -> None:
        """Take part in what process 0 is told to do, until it parts in peace."""
        self.sharing.connect(self.device)
        while True:
            iterations, anew = self.sharing.told(2)
            if not iterations:
                return
            if anew:
                self.restore(self.sharing.sent(self.state()))
            self._advance(iterations)

    def _lead(self, iterations: int) -> None:
        """Have the others do as this process does now, from the same state."""
        self.sharing.connect(self.device)
        self.sharing.idle = False
        self.sharing.tell(iterations, not self._sent)
        if not self._sent:
            self.sharing.sent(self.state())
        self._sent = True

    def _advance(self, iterations: int) -> Tensor:
        with self._stream_of_layers():
            if self._capturing and not self._graphs:
                self._capture()
            self._row.zero_()
            self._done.fill_(self.iteration)
            for _ in range(iterations):
                epoch, position = divmod(self.iteration, self.iterations_per_epoch)
                if epoch != self._order_epoch:
                    self._shuffle(epoch)
                    self._cursor.fill_(position * self._shown)
                if self._host:
                    shown = self._order[position * self._shown : (position + 1) * self._shown]
                    self._host.send(self.sharing.mine(shown, self.method.batches))
                self.full = self.iteration % self._every == 0
                if self._graphs:
                    self._graphs[self.full].replay()
                else:
                    self._iterate()
                self.iteration += 1
        self._layers = self.sharing.gathered(self.sharing.mine(self._layers))
        return self.sharing.averaged([self._measured[:iterations].to("cpu", copy=True)])[0]

    def first(self, count: int) -> Batch:
        """As many examples, or all of them: the same each time."""
        data = self._host.data if self._host else self._data
        return {name: values[:count] for name, values in data.items()}

    # What a method is given.

    def autocast(self) -> AbstractContextManager[object]:
        """The precision of the forward passes. It caches weights: a new one after each update."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def update(self, name: str, loss: Tensor) -> None:
        """One step of that optimizer; no gradient is computed for any other parameter."""
        optimizer = self.optimizers[name]
        gradients = self.sharing.averaged(torch.autograd.grad(loss, optimizer.parameters))
        optimizer.step(gradients, self._share_of_rate())

    def _share_of_rate(self) -> Tensor | None:
        """What is left of the rates in this iteration, float32 (); None where they stay."""
        if self.recipe.lr_decay_from == 1:
            return None
        every = self.recipe.epochs * self.iterations_per_epoch
        falling = (1 - self.recipe.lr_decay_from) * every
        return ((every - self._done) / falling).clamp(0, 1)

    @contextmanager
    def drawing(self, name: str) -> Iterator[nn.Module]:
        """That network as it draws: averaged where the recipe says so, and changed by nothing.

        BatchNorm uses its running statistics, so that an image depends on its own input alone; the
        noise of layers, where there is some, is the same each time.
        """
        network = self.averages.get(name, self.method.networks[name])
        network.eval()
        try:
            with torch.no_grad(), self._same_noise():
                yield network
        finally:
            network.train()

    @contextmanager
    def judging(self) -> Iterator[None]:
        """The networks compute as in training, and nothing in them changes: there is no dropout,
        and the noise of layers is the same each time.

        BatchNorm goes by its batch, as it did where the discriminator learnt to tell images apart.
        Of several processes, one judges.
        """
        sharing, self.sharing = self.sharing, ALONE
        layers = [layer for net in self.method.networks.values() for layer in net.modules()]
        normalising = [layer for layer in layers if isinstance(layer, _BatchNorm)]
        for layer in layers:
            layer.training = False
        for layer in normalising:
            layer.training, layer.track_running_stats = True, False
        try:
            with torch.no_grad(), self._same_noise():
                yield
        finally:
            for layer in layers:
                layer.training = True
            for layer in normalising:
                layer.track_running_stats = True
            self.sharing = sharing

    # What is needed to go on.

    def state(self) -> dict[str, Tensor]:
        """Everything the next iteration depends on, as named tensors (no copies)."""
        tensors = {"iteration": torch.tensor(self.iteration), "layers": self._layers}
        tensors |= {name: stream.get_state() for name, stream in self.streams.items()}
        for name, module in self._modules().items():
            tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        if self.sharing.processes > 1:
            tensors[PROCESSES] = torch.tensor(self.sharing.processes)
        return tensors | self._moments()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go back to what `state` returned. Raises `KeyError` or `RuntimeError` on a misfit.

        A state of another number of processes is one: shares and dropout would be others.
        """
        if (found := processes(tensors)) != self.sharing.processes:
            raise RuntimeError(f"a state of processes: {found}, not {self.sharing.processes}")
        if missing := self.state().keys() - tensors.keys():  # before anything is changed
            raise KeyError(min(missing))
        for name, module in self._modules().items():
            module.load_state_dict(_below(tensors, name))
        for key, value in self._moments().items():
            value.copy_(tensors[key])
        for name, stream in self.streams.items():
            stream.set_state(tensors[name])
        self._layers = tensors["layers"]
        self.iteration = int(tensors["iteration"])
        self._order_epoch = -1
        self._graphs, self._sent = {}, False

    def _modules(self) -> dict[str, nn.Module]:
        averages = {f"average.{name}": network for name, network in self.averages.items()}
        memories = {f"memory.{name}": each for name, each in self.method.memories.items()}
        return self.method.networks | memories | averages

    def _moments(self) -> dict[str, Tensor]:
        return {
            f"optimizer.{name}.{key}": value
            for name, optimizer in self.optimizers.items()
            for key, value in optimizer.state().items()
        }

    def _stream_of_mine(self) -> Tensor:
        return self.sharing.mine(self._layers).clone()  # a view's place in memory is not heeded

    @contextmanager
    def _stream_of_layers(self) -> Iterator[None]:
        """Lend the device's default generator, from which dropout draws, a stream of the state."""
        default = _default_generator(self.device)
        before = default.get_state()
        default.set_state(self._stream_of_mine())
        try:
            yield
        finally:
            self._layers = self.sharing.whole(default.get_state())
            default.set_state(before)

    @contextmanager
    def _same_noise(self) -> Iterator[None]:
        """Let layers draw from a fresh stream of the seed; the default one stays as it was."""
        default = _default_generator(self.device)
        before = default.get_state()
        default.set_state(seeds.generator(self.seed, "drawing", device=self.device).get_state())
        try:
            yield
        finally:
            default.set_state(before)

    def _shuffle(self, epoch: int) -> None:
        stream = seeds.generator(self.seed, "order", epoch)
        self._order.copy_(torch.randperm(len(self._order), generator=stream))
        if self.recipe.horizontal_flips:
            stream = seeds.generator(self.seed, "flips", epoch)
            self._flipped.copy_(torch.rand(self._flipped.shape, generator=stream) < 0.5)
        self._order_epoch = epoch

    def _batch(self) -> Batch:
        if self._host:
            return self._host.batch
        examples = self._order[self._cursor + self._lane]
        return {name: values[examples] for name, values in self._data.items()}

    def _iterate(self) -> None:
        batch = self._batch()
        if self.recipe.horizontal_flips:
            flipped = self._flipped[self._cursor + self._lane]
            batch = {
                name: torch.where(flipped, values.flip(-1), values) if values.dim() == 4 else values
                for name, values in batch.items()
            }
        measured = self.method.iterate(self, batch)
        with torch.no_grad():
            for name, average in self.averages.items():
                self._average(average, self.method.networks[name])
            # In one of the rows; an index_copy_ that is deterministic takes a GPU a dozen kernels.
            here, values = self._rows == self._row, torch.stack(list(measured))
            self._measured.copy_(torch.where(here, values, self._measured))
            self._row += 1
            self._done += 1
            self._cursor += self._shown

    def _average(self, average: nn.Module, network: nn.Module) -> None:
        weights: list[Tensor] = list(network.parameters())
        averaged: list[Tensor] = list(average.parameters())
        torch._foreach_lerp_(averaged, weights, 1 - self.recipe.ema_decay)
        # Running statistics are averages already.
        for mine, theirs in zip(average.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)

    def _capture(self) -> None:
        """Record an iteration as a CUDA graph, one of each kind where there are two, or else go on
        eagerly; leaves the state as it was.

        Capturing depends on card, driver and PyTorch: where it fails, one warning says so.
        """
        before = {name: value.clone() for name, value in self.state().items()}
        default = _default_generator(self.device)
        kinds = (True, False) if self._every > 1 else (True,)
        for self.full in kinds:
            self._warm_up()
        try:
            graphs = {}
            for self.full in kinds:
                graphs[self.full] = self._record()
            self._graphs = graphs
        except RuntimeError as error:
            cause: BaseException = error
            while cause.__context__:  # the end of a broken capture says no more than that it broke
                cause = cause.__context__
            reason = str(cause).partition("\n")[0]
            log.warning("no CUDA graph on this device (%s): training goes on without", reason)
            self._capturing = False
            if self.device.type == "cuda":
                # A capture that broke off leaves generators from which nobody can draw.
                for generator in (*self.streams.values(), default):
                    generator.graphsafe_set_state(torch.Generator(self.device))
        # The graph holds these very tensors: they are written back in place.
        for name, module in self._modules().items():
            for key, value in module.state_dict().items():
                value.copy_(before[f"{name}.{key}"])
        for key, value in self._moments().items():
            value.copy_(before[key])
        for name, stream in self.streams.items():
            stream.set_state(before[name])
        default.set_state(self._stream_of_mine())
        self._row.zero_()
        self._order_epoch = -1

    def _warm_up(self) -> None:
        """Iterations before the capture, in which cuDNN chooses and allocates."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._row.zero_()
                self._cursor.zero_()
                self._iterate()
        torch.cuda.current_stream().wait_stream(stream)
        self._row.zero_()

    def _record(self) -> torch.cuda.CUDAGraph:
        """Capture one iteration; raises `RuntimeError` where there can be no graph."""
        self._tried = graph = torch.cuda.CUDAGraph()  # kept: the allocator may hold on to it
        if torch.__version__ < "2.14":  # later ones find generators by themselves, and warn
            for stream in self.streams.values():
                graph.register_generator_state(stream)
        # The outer context: a capture that fails leaves its own stream behind.
        with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):
            self._iterate()
        return graph


class _Host:
    """Data that stay on the host: batches are gathered there, and copied while the device works."""

    def __init__(self, data: Mapping[str, Tensor], shown: int, device: torch.device) -> None:
        self.data = data
        # Where every batch arrives, since a graph reads it there.
        self.batch = {name: values[:shown].to(device, copy=True) for name, values in data.items()}
        # Nobody waits for a copy from pinned memory. As rows are picked from anywhere in the data,
        # it is batches that are pinned, two in turn, and not the whole, which may not be let.
        self._asynchronous = device.type == "cuda"
        self._gathered = [
            {
                name: torch.empty_like(values[:shown], pin_memory=self._asynchronous)
                for name, values in data.items()
            }
            for _ in range(2)
        ]
        self._copied = [torch.cuda.Event() for _ in range(2) if self._asynchronous]
        self._turn = 0

    def send(self, examples: Tensor) -> None:
        """Make them the batch of what is given to the device from now on; int64 (B,) on the CPU."""
        self._turn = 1 - self._turn
        if self._asynchronous:
            self._copied[self._turn].synchronize()  # of the batch before the last
        for name, gathered in self._gathered[self._turn].items():
            torch.index_select(self.data[name], 0, examples, out=gathered)
            self.batch[name].copy_(gathered, non_blocking=self._asynchronous)
        if self._asynchronous:
            self._copied[self._turn].record()


def processes(state: Mapping[str, Tensor]) -> int:
    """By how many a training was shared, from its state."""
    return int(state[PROCESSES]) if PROCESSES in state else 1


def _too_large(data: Mapping[str, Tensor], device: torch.device) -> bool:
    """Whether the data had better stay on the host; says so in a line."""
    if device.type != "cuda":
        return False
    size, free = sum(values.nbytes for values in data.values()), torch.cuda.mem_get_info(device)[0]
    if size <= SHARE_FOR_DATA * free:
        return False
    log.warning(
        "%.1f GB of images stay in the computer's memory, and each batch is sent to the GPU from "
        "pinned memory: %.1f GB are free on the GPU",
        size / 1e9,
        free / 1e9,
    )
    return True


def _default_generator(device: torch.device) -> torch.Generator:
    if device.type == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    if device.type == "mps":
        return torch.mps._get_default_mps_generator()
    return torch.default_generator


def _below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(f"{name}."): value
        for key, value in tensors.items()
        if key.startswith(f"{name}.")
    }
