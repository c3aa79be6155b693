"""Images translated by a trained generator."""

from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ganvas import layout, networks, pictures, seeds
from ganvas.data.questions import Questions
from ganvas.splitting import split

BATCH = 250
ROWS, BLOCKS = 6, 4  # of a sheet: examples below each other, and how many such side by side
BETWEEN = 12  # pixels from block to block
PAPER = 255


def translate(
    generator: nn.Module,
    inputs: Tensor,
    targets: Tensor | None,
    seed: int,
    processes: int = 1,
) -> Tensor:
    """Images uint8 (N, C, H, W) on the CPU, of `inputs`, uint8 (N, C', H, W).

    The generator, in eval mode, is of `ganvas.networks.translation`; `targets`, int64 (N,), are the
    domains to translate to, where it is told them. The noise of its layers, where there is some, is
    drawn from `seed`, one for all images: what becomes of one hangs on no other, but for the last
    bit where products of other shapes are rounded otherwise. Many are shared by so many processes.
    """
    given = [inputs] if targets is None else [inputs, targets]
    batches = [*zip(*(each.split(BATCH) for each in given), strict=True)]
    noise = seeds.derive(seed, "translations")
    return torch.cat(split(partial(_translate, noise), generator, batches, processes))


@torch.no_grad()
def _translate(noise: int, generator: nn.Module, images: Tensor, *domains: Tensor) -> Tensor:
    """One batch."""
    device = next(generator.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(noise)
        given = networks.from_uint8(images.to(device))
        return networks.to_uint8(generator(given, *(each.to(device) for each in domains))).cpu()


def sheet(questions: Questions, answers: Tensor, returned: Tensor | None) -> Image.Image:
    """The first questions, a row each: input, output, and the truth, or else what came back."""
    shown = [questions.inputs, answers]
    if questions.truth is not None:
        shown.append(questions.truth)
    elif returned is not None:
        shown.append(returned)
    colours = max(each.shape[1] for each in shown)
    rows = torch.stack([each[: ROWS * BLOCKS].expand(-1, colours, -1, -1) for each in shown], 1)
    blocks = [
        np.asarray(pictures.grid(layout.for_files(block.flatten(0, 1).numpy()), len(shown)))
        for block in rows.split(ROWS)
    ]
    height = max(len(block) for block in blocks)
    parts: list[np.ndarray] = []
    for block in blocks:
        paper = ((0, height - len(block)), (0, BETWEEN), *[(0, 0)] * (block.ndim - 2))
        parts.append(np.pad(block, paper, constant_values=PAPER))
    return Image.fromarray(np.concatenate(parts, 1)[:, :-BETWEEN])
