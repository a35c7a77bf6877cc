"""What a part of a user's own does wrong with more images than it was tried on is refused before the first step."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from made import MADE, PLAIN, squares, used, x_of
from tiny import Silent, run
from torch import Tensor

from ablation.data.digits import digits
from ablation.errors import AblationError, ConfigError
from ablation.key import Key
from ablation.store import journal
from ablation.trial.parts import parts
from ablation.types import Batch, Data, Pass, Penalty, Term

N = 16  # images in a batch, twice as many as parts are tried on before the data are there


def from_nine_on(bad: Any) -> Any:
    """Whatever is asked of an augmentation, of more than eight images."""

    def aug(batch: Batch, key: Key) -> Batch:
        return bad(batch) if len(batch.x) > 8 else batch._replace(x=batch.x / 2)

    return aug


def clock(batch: Batch) -> Batch:
    noise = torch.rand(batch.x.shape, generator=torch.Generator().manual_seed(time.time_ns()))
    return batch._replace(x=(batch.x + noise).clamp(0, 1))


BAD_AUGS: dict[str, tuple[Any, str]] = {
    "sums": (lambda batch: batch._replace(y=batch.y * 2), "returned targets that are no distribution"),
    "half": (lambda batch: batch._replace(x=batch.x[:8], y=batch.y[:8]), "returned 8 images for 16"),
    "float64": (lambda batch: batch._replace(x=batch.x.double()), "returned x as float64, not float32"),
    "range": (lambda batch: batch._replace(x=batch.x * 3 - 1), "returned images that leave [0, 1]"),
    "clock": (clock, "gives two answers for one key"),
    "raises": (lambda batch: batch.x @ batch.y, "raised RuntimeError"),
}


def refused(settings: dict[str, Any], folder: Path, fuse: bool = False) -> str:
    settings = {**settings, "batch_size": N, "fuse": fuse, "seeds": [0, 1] if fuse else [0]}
    parts(settings)
    with pytest.raises(ConfigError) as error:
        run(settings, folder)
    assert not list(folder.glob("seed-*/*/last.pt"))
    causes = [journal.events(seed)[-1]["cause"] for seed in sorted(folder.glob("seed-*"))]
    assert causes == ["contract"] * len(settings["seeds"]), "and not `config`, of which nothing is wrong"
    return str(error.value).splitlines()[0]


@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize(("bad", "said"), BAD_AUGS.values(), ids=BAD_AUGS)
def test_an_augmentation_is_tried_on_the_first_batch(tmp_path: Path, bad: Any, said: str, fuse: bool) -> None:
    told = refused(used("aug", from_nine_on(bad)), tmp_path, fuse)
    assert told.startswith("aug.mine: ")
    assert said in told


def a_row(given: Pass) -> Tensor:
    rows = (given.logits - given.batch.y).square().mean(1)
    return rows if len(rows) > 8 else rows.mean()


def flat(given: Pass) -> Tensor:
    return squares(given) if len(given.logits) <= 8 else 0 * given.logits.sum() + squares(given).detach()


@pytest.mark.parametrize("group", ["loss", "regularizer"])
@pytest.mark.parametrize(("term", "said"), [(a_row, "of the shape (16,)"), (flat, "whose gradient is 0")])
def test_a_term_is_tried_on_the_first_batch(tmp_path: Path, group: str, term: Term, said: str) -> None:
    path, part = ("loss", term) if group == "loss" else ("regularizer.mine", Penalty(lambda model: term))
    told = refused(used(group, part), tmp_path)
    assert told.startswith(f"{path}: ")
    assert said in told


def made_data(name: str, view: str, pad: int, **arguments: Any) -> Data:
    return Data(**{**vars(digits(view="none", pad=0, **arguments)), "view": MADE[name]})


def test_a_view_is_tried_on_the_first_batch(tmp_path: Path) -> None:
    MADE["few"] = lambda x, key: x[:8]
    data = {**PLAIN["data"], "_target_": f"{__name__}.made_data", "name": "few"}
    assert refused({**PLAIN, "data": data}, tmp_path).startswith("data: returned other than as many images")


def test_what_is_tried_is_the_first_step(tmp_path: Path) -> None:
    """The very images, at the very moment, with the key of the first step; they are not trained on twice."""
    seen: list[Batch] = []

    def aug(batch: Batch, key: Key) -> Batch:
        if len(batch.x) > 8:
            seen.append(Batch(*(tensor.clone() for tensor in (batch.x, batch.y, batch.t, key.word))))
        return batch._replace(x=batch.x / 2)

    watch = Silent()
    (result,) = run(used("aug", aug, batch_size=N), tmp_path, watch).values()
    assert not isinstance(result, AblationError)
    assert watch.steps == len(seen) - 3 == 3, "twice, and once as a lane"
    for name, tried, trained in zip(("x", "y", "t", "key"), seen[0], seen[3], strict=True):
        assert torch.equal(tried, trained), name


def test_good_parts_train_with_seeds_fused(tmp_path: Path) -> None:
    made = used("aug", x_of(lambda x: x / 2), loss=used("loss", squares)["loss"], batch_size=N)
    outcomes = run({**made, "fuse": True, "seeds": [0, 1]}, tmp_path)
    assert not [outcome for outcome in outcomes.values() if isinstance(outcome, AblationError)]
