"""A trial that is stopped, killed or damaged ends as if nothing had happened."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SMALL_MODEL, TINY, Silent, config, final_weights, run

from ablation.errors import DataError, Stopped
from ablation.store import journal
from ablation.store.checkpoint import usable
from ablation.store.result import finished


def measured(folder: Path, seed: int) -> list[dict[str, float]]:
    """Every epoch's metrics, but for the speed."""
    epochs = journal.history(journal.events(folder / f"seed-{seed}"))
    return [{k: v for k, v in e["metrics"].items() if k != "images_per_s"} | {"epoch": e["epoch"]} for e in epochs]


@pytest.mark.parametrize(
    ("precision", "fuse"),
    [
        ("fp32", False),
        ("bf16", True),
        pytest.param("bf16", False, marks=pytest.mark.slow),
        pytest.param("fp32", True, marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_step_the_end_is_the_same(tmp_path: Path, precision: str, fuse: bool) -> None:
    """With several seeds and every kind of state: momentum, averages, noise inside the model, two-pass gradients."""
    settings = config(
        *TINY, *SMALL_MODEL, "seeds=[0,4]", "aug=[cutout,mixup,random_erasing]", "sched=cosine",
        "regularizer=[ema,sam,dropout,stochastic_depth]", "optim.nesterov=true",
    ) | {"precision": precision, "fuse": fuse}  # fmt: skip
    run(settings, tmp_path / "straight")
    total = 6 if fuse else 12
    for step in range(1, total + 1):
        folder = tmp_path / f"stopped-{step}"
        with nullcontext() if step == total else pytest.raises(Stopped):  # after the last step there is nothing to stop
            run(settings, folder, Silent(step))
        run(settings, folder)
        for seed in (0, 4):
            one, other = final_weights(tmp_path / "straight", seed), final_weights(folder, seed)
            assert [k for k in one if not torch.equal(one[k], other[k])] == [], f"stopped at {step}, seed {seed}"
            assert measured(tmp_path / "straight", seed) == measured(folder, seed), f"stopped at {step}, seed {seed}"


def test_a_damaged_checkpoint_resumes_from_the_one_before(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL)
    run(settings, tmp_path / "straight")
    with pytest.raises(Stopped):
        run(settings, tmp_path / "hit", Silent(5))
    last = tmp_path / "hit" / "seed-0" / "attempt-1" / "last.pt"
    last.write_bytes(last.read_bytes()[:-1000])
    with pytest.warns(UserWarning, match=r"last\.pt is damaged"):
        run(settings, tmp_path / "hit")
    one, other = final_weights(tmp_path / "straight"), final_weights(tmp_path / "hit")
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_checkpoints_by_the_clock(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL) | {"checkpoint": {"epochs": 0, "seconds": 1e-9}}
    run(settings, tmp_path)
    saved = [e["step"] for e in journal.events(tmp_path / "seed-0") if e["event"] == "saved"]
    assert saved == [1, 2, 3, 4, 5, 6]


def test_a_lost_seed_of_a_fused_run_catches_up(tmp_path: Path) -> None:
    """Killed between two seeds' checkpoints, they resume from the step that both have."""
    settings = config(*TINY, *SMALL_MODEL, "seeds=2", "fuse=true")
    run(settings, tmp_path / "straight")
    with pytest.raises(Stopped):
        run(settings, tmp_path / "hit", Silent(4))
    behind = tmp_path / "hit" / "seed-1" / "attempt-1"
    (behind / "previous.pt").rename(behind / "last.pt")
    run(settings, tmp_path / "hit")
    for seed in (0, 1):
        one, other = final_weights(tmp_path / "straight", seed), final_weights(tmp_path / "hit", seed)
        assert all(torch.equal(one[k], other[k]) for k in one)


def test_other_images_under_the_same_name_are_refused(tmp_path: Path) -> None:
    """The id has the file's name; a trial begun on one content does not go on with another."""
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 4
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    settings = config(*TINY, *SMALL_MODEL, "data=arrays", f"data.path={path}", "data.subset=null")
    with pytest.raises(Stopped):
        run(settings, tmp_path / "out", Silent(3))
    np.savez(path, x_train=255 - x, y_train=y, x_test=x, y_test=y)
    with pytest.raises(DataError, match="begun on images with the fingerprint"):
        run(settings, tmp_path / "out")


def test_fused_seeds_that_came_unequally_far_keep_what_they_have(tmp_path: Path) -> None:
    """One seed trained alone to its end before, one stopped: neither starts anew."""
    settings = config(*TINY, *SMALL_MODEL) | {"fuse": True}
    with pytest.raises(Stopped):
        run(settings | {"seeds": [0]}, tmp_path, Silent(5))
    with pytest.raises(Stopped):
        run(settings | {"seeds": [1]}, tmp_path, Silent(2))
    watch = Silent()
    outcomes = run(settings | {"seeds": [0, 1, 2]}, tmp_path, watch)
    assert all(isinstance(o, dict) for o in outcomes.values())
    assert sorted((tuple(leg.seeds), leg.start) for leg in watch.legs) == [((0,), 5), ((1,), 2), ((2,), 0)]


def test_time_is_counted_over_all_attempts(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL)
    with pytest.raises(Stopped):
        run(settings, tmp_path, Silent(5))
    spent = next(usable(tmp_path / "seed-0"))["seconds"]
    (result,) = run(settings, tmp_path).values()
    assert isinstance(result, dict)
    assert 0 < spent < result["seconds"]


@pytest.mark.parametrize("error", [RuntimeError("its own"), SystemExit("its own")], ids=repr)
def test_an_error_in_one_group_of_fused_seeds_leaves_the_others(tmp_path: Path, error: BaseException) -> None:
    class Broken(Silent):
        def tick(self) -> None:
            super().tick()
            if len(self.legs) == 1:
                raise error

    settings = config(*TINY, *SMALL_MODEL) | {"fuse": True}
    with pytest.raises(Stopped):
        run(settings | {"seeds": [0]}, tmp_path, Silent(5))
    with pytest.raises(type(error), match="its own"):
        run(settings | {"seeds": [0, 1, 2]}, tmp_path, watch := Broken())
    assert [leg.seeds for leg in watch.legs] == [[1, 2], [0]], "the groups"
    assert [journal.events(tmp_path / f"seed-{n}")[-1]["event"] for n in (0, 1, 2)] == ["done", "failed", "failed"]
    assert finished(tmp_path / "seed-0") is not None
