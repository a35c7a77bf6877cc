"""How many images each class has, where that is odd: none to train on, one, or none to test on."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ablation.data.check import Choice

_NAMED = 3  # classes that a note names


def notes(classes: tuple[str, ...], train: Tensor, test: Tensor, choice: Choice) -> Iterator[str]:
    """What to know of the labels that are trained on, int64 (n,), and tested on, int64 (m,).

    Raises:
        ValueError: all that is trained on is of one class.
    """
    trained, tested = (torch.bincount(y, minlength=len(classes)) for y in (train, test))
    if len(classes) > 1 and int((trained > 0).sum()) == 1:
        argument = "subset" if choice.subset else "val"
        raise ValueError(
            f"{argument}: training images left: {len(train)}, all of the class {classes[int(trained.argmax())]}; "
            "take more, or take them from every class, as an amount without 'first:' does"
        )
    used = [f"data.{name}" for name in ("subset", "val") if getattr(choice, name)]
    by = f" ({' and '.join(used)} took the others)" if used else ""
    yield from _told(classes, trained == 0, f"have no image to train on{by}, and are tested nevertheless")
    yield from _told(classes, trained == 1, f"have a single image to train on{by}")
    by = " (data.test_subset took the others)" if choice.test_subset else ""
    yield from _told(classes, tested == 0, f"have no test image{by}: the accuracy says nothing of them")


def _told(classes: tuple[str, ...], odd: Tensor, what: str) -> Iterator[str]:
    """One note on the classes (K,) of which it is true."""
    names = [classes[k] for k in odd.nonzero().flatten().tolist()]
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"{len(names)} of {len(classes)} classes {what}: {', '.join(names[:_NAMED])}{more}"
