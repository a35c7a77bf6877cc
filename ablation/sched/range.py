"""Learning rate range test."""

from __future__ import annotations

from ablation.build import near
from ablation.types import Schedule

SHAPES = ("exponential", "linear")


def range(
    epochs: int, lr: float, start: float = 1e-5, end: float = 10.0, shape: str = "exponential"
) -> dict[str, Schedule]:
    """The learning rate rises from start to end over the training, to find one that is good (Smith 2015, 1506.01186).

    With u the progress from 0 to 1: exponential, start (end/start)^u, the same factor at every step; linear, as in the
    paper, start + (end - start) u. `ablation lr` shows the loss over it and suggests a rate. The optimiser's own rate
    means nothing here, and there is no warm-up.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 < lr < float("inf"):
        raise ValueError(f"lr: {lr} is not a finite number above 0; set optim.lr")
    if shape not in SHAPES:
        raise ValueError(f"shape: there is no {shape!r}; {near(shape, SHAPES)}")
    if not 0 < start < end < float("inf"):
        raise ValueError(f"start: {start} and end, {end}, are no rising learning rates above 0")

    def schedule(t: float) -> float:
        rate = start * (end / start) ** t if shape == "exponential" else start + (end - start) * t
        return float(rate / lr)

    return {"lr": schedule}
