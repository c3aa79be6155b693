"""One training by many processes: each has its share of every batch, and the same weights.

Gradients are averaged over the processes before each update, as in PyTorch's
DistributedDataParallel (Li 2020, arXiv:2006.15704), all of an update in one sum. All draw the noise
of the whole batch from the same streams, and each takes its rows: where no layer looks across the
batch, and none draws by itself, the training is that of one process with the whole batch, but for
rounding. Losses have to be means over the examples. Process 0 leads; the others do as it does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import Store

from ganvas.errors import GanvasError


class PartedError(GanvasError):
    """Another process has ended before the training has."""


class Sharing:
    """Which of how many processes this one is. Alone, each of its methods gives back what it got.

    Rows are of a batch: the first dimension. Collectives run by gloo, of what is on a GPU by NCCL;
    they raise `PartedError` where another process is gone.
    """

    def __init__(self, processes: int = 1, rank: int = 0, sync_batch_norm: bool = False) -> None:
        self.processes, self.rank = processes, rank
        self.sync_batch_norm = sync_batch_norm and processes > 1
        # What makes the others start, where nobody else does, and gives the place to meet them.
        self.start: Callable[[], Store] | None = None
        self.connected = False
        self.idle = True  # whether the others wait for what process 0 tells them

    def check(self, batch_size: int) -> None:
        """Raise `GanvasError` where a batch has no equal shares."""
        if batch_size % self.processes:
            raise GanvasError(
                f"batch_size: {batch_size} cannot be shared by {self.processes} processes; set a "
                "multiple of train.processes"
            )

    def mine(self, rows: Tensor, batches: int = 1) -> Tensor:
        """Of the rows of whole batches, one after the other, those of this process."""
        if self.processes == 1:
            return rows
        shares = rows.view(batches, self.processes, -1, *rows.shape[1:])
        return shares[:, self.rank].flatten(0, 1)

    def whole(self, rows: Tensor) -> Tensor:
        """A whole batch in which they are at this process's place; what else is in it is nobody's.

        For a function that draws for each row from a stream that all processes share.
        """
        return rows if self.processes == 1 else torch.cat([rows] * self.processes)

    def gathered(self, rows: Tensor) -> Tensor:
        """The rows of all processes, each at its place; no gradient leads back through it."""
        if self.processes == 1:
            return rows
        every = [torch.empty_like(rows) for _ in range(self.processes)]
        with together():
            distributed.all_gather(every, rows.contiguous())
        return torch.cat(every)

    def averaged(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Each the mean over the processes, all by one sum; the same bytes in every process."""
        if self.processes == 1:
            return tensors
        flat = torch.cat([each.flatten() for each in tensors])
        with together():
            distributed.all_reduce(flat)
        parts = flat.div_(self.processes).split([each.numel() for each in tensors])
        return [part.view(each.shape) for part, each in zip(parts, tensors, strict=True)]

    def connect(self, device: torch.device) -> None:
        """Meet the others, if it has not; they are started first where nobody else does."""
        if self.connected:
            return
        store = self.start() if self.start else None
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        with together():
            distributed.init_process_group(
                backend, store=store, rank=self.rank, world_size=self.processes
            )
        self.connected = True

    def tell(self, *numbers: int) -> None:
        """What process 0 has the others do."""
        self._sent(torch.tensor(numbers))

    def told(self, count: int) -> list[int]:
        """As many numbers as process 0 tells, which this one waits for."""
        numbers: list[int] = self._sent(torch.zeros(count, dtype=torch.int64)).tolist()
        return numbers

    def sent(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of process 0, on the CPU; all have the same names, shapes and types."""
        return {name: self._sent(each.to("cpu", copy=True)) for name, each in tensors.items()}

    def leave(self) -> None:
        """Part in peace."""
        if self.connected:
            distributed.destroy_process_group()
        self.connected = False

    def _sent(self, tensor: Tensor) -> Tensor:
        tensor = tensor.contiguous()
        with together():
            distributed.broadcast(tensor, src=0)
        return tensor


@contextmanager
def together() -> Iterator[None]:
    """What is done with the others; raises `PartedError` where one of them is gone."""
    try:
        yield
    except RuntimeError as error:
        if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
            raise  # the capture's own, which the engine can do without
        reason = str(error).partition("\n")[0]
        raise PartedError(
            f"another rank has ended ({reason}): the training stops, and the same command goes on "
            "from its last state"
        ) from None


ALONE = Sharing()
