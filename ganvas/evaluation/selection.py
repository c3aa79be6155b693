"""Which checkpoint of a training is taken."""

from typing import Any, NamedTuple

from ganvas.errors import GanvasError


class Scored(NamedTuple):
    """A checkpoint with its FID; `generator_loss` is the mean over the epoch it ends."""

    epoch: int
    iteration: int
    generator_loss: float
    checkpoint: str
    fid: float


def choose(scored: list[Scored], rule: str | int) -> dict[str, Any]:
    """The checkpoint that the rule takes, and the epochs that the two best-known rules would.

    `best` is the lowest FID, `last` the last, `lowest_generator_loss` what the tutorials read off
    the loss chart; a number is an epoch. The earlier one wins a tie. Raises `GanvasError` when
    there is no checkpoint of that epoch.
    """
    if not scored:
        raise GanvasError("select: no checkpoint to choose from; run dvc repro train")
    scored = sorted(scored)  # by epoch
    best = min(scored, key=lambda score: score.fid)
    lowest = min(scored, key=lambda score: score.generator_loss)
    of_rule = {"best": best, "last": scored[-1], "lowest_generator_loss": lowest}
    of_epoch = {score.epoch: score for score in scored}
    taken = of_rule.get(str(rule)) or of_epoch.get(int(rule))
    if taken is None:
        epochs = ", ".join(str(epoch) for epoch in of_epoch)
        raise GanvasError(f"select.rule: no checkpoint of epoch {rule}; there are {epochs}")
    return {
        "rule": rule,
        "epoch": taken.epoch,
        "iteration": taken.iteration,
        "checkpoint": taken.checkpoint,
        "validation_fid": taken.fid,
        "best_epoch": best.epoch,
        "lowest_generator_loss_epoch": lowest.epoch,
    }
