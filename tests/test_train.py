"""The loop against the usual PyTorch loop, and what it does when things go wrong."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from filelock import FileLock
from tiny import SMALL_MODEL, TINY, Silent, config, final_weights, run

from ablation import journal
from ablation.build import build
from ablation.checkpoint import load
from ablation.errors import AblationError, ConfigError, DataError, Stopped
from ablation.key import Key
from ablation.parts import build_learner, parts
from ablation.precision import choose_precision
from ablation.types import Batch, Data


def test_equals_the_usual_loop(tmp_path: Path) -> None:
    """Same weights, batches and schedule, written as everybody writes it: the same trained weights, to rounding."""
    settings = config(*TINY, *SMALL_MODEL, "data.view=none", "sched=cosine", "optim.lr=0.05")
    run(settings, tmp_path)
    data: Data = build(settings["data"], "data")
    learner = build_learner(settings, parts(settings), data, choose_precision("fp32", torch.device("cpu")), Key.root(0))
    model = learner.model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    steps = 6
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    x = (data.train.x.permute(0, 3, 1, 2) / 255 - data.mean[:, None, None]) / data.std[:, None, None]
    for epoch in range(3):
        order = Key.root(0).fold("order").fold(epoch).permutation(16)
        for index in order.split(8):
            optimizer.zero_grad()
            F.cross_entropy(model(x[index]), data.train.y[index]).backward()
            optimizer.step()
            cosine.step()
    trained = final_weights(tmp_path)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(
            trained[f"weights.model.{name}"], value, rtol=1e-3, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_asking_again_is_a_no_op(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL)
    first, watch = run(settings, tmp_path), Silent()
    before = (tmp_path / "seed-0" / "journal.jsonl").read_bytes()
    assert run(settings, tmp_path, watch) == first
    assert watch.steps == 0
    assert (tmp_path / "seed-0" / "journal.jsonl").read_bytes() == before


def test_seeds_differ_and_repeat(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL, "seeds=2")
    for folder in ("a", "b"):
        run(settings, tmp_path / folder)
    a, b, other = final_weights(tmp_path / "a"), final_weights(tmp_path / "b"), final_weights(tmp_path / "a", 1)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["weights.model.head.weight"], other["weights.model.head.weight"])


def first_step(*overrides: str) -> tuple[dict[str, torch.Tensor], Batch]:
    """Initial weights, and the first batch as it leaves the augmentations."""
    settings = config(*TINY, *SMALL_MODEL, *overrides)
    data: Data = build(settings["data"], "data")
    built, root = parts(settings), Key.root(0)
    learner = build_learner(settings, built, data, choose_precision("fp32", torch.device("cpu")), root)
    seen: list[Batch] = []
    learner.augs["probe"] = lambda batch, key: seen.append(batch) or batch  # type: ignore[func-returns-value]
    learner(data.train.x[:8], data.train.y[:8], root.fold("step"), torch.tensor(0.0))
    return learner.state_dict(), seen[0]


def test_arms_share_their_random_numbers() -> None:
    """Adding a trick shifts neither the initial weights, the view, nor another trick's draws."""
    (weights, plain), (with_mixup, mixed) = first_step(), first_step("aug=mixup")
    _, cut = first_step("aug=cutout")
    _, both = first_step("aug=[mixup,cutout]")
    assert all(torch.equal(weights[k], with_mixup[k]) for k in weights if "num_batches" not in k and "running" not in k)
    kept = cut.x == plain.x  # the pixels that cutout leaves alone
    assert 0.5 < kept.float().mean() < 1
    assert torch.equal(both.y, mixed.y)
    assert torch.equal(both.x[kept], mixed.x[kept])


def measured(folder: Path, seed: int) -> list[dict[str, float]]:
    """Every epoch's metrics, but for the speed."""
    epochs = journal.history(journal.read(folder / f"seed-{seed}" / "journal.jsonl"))
    return [{k: v for k, v in e["metrics"].items() if k != "images_per_s"} | {"epoch": e["epoch"]} for e in epochs]


@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
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
    last = tmp_path / "hit" / "seed-0" / "last.pt"
    last.write_bytes(last.read_bytes()[:-1000])
    with pytest.warns(UserWarning, match=r"last\.pt is damaged"):
        run(settings, tmp_path / "hit")
    one, other = final_weights(tmp_path / "straight"), final_weights(tmp_path / "hit")
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_checkpoints_by_the_clock(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL) | {"checkpoint": {"epochs": 0, "seconds": 1e-9}}
    run(settings, tmp_path)
    saved = [e["step"] for e in journal.read(tmp_path / "seed-0" / "journal.jsonl") if e["event"] == "saved"]
    assert saved == [1, 2, 3, 4, 5, 6]


def test_a_lost_seed_of_a_fused_run_catches_up(tmp_path: Path) -> None:
    """Killed between two seeds' checkpoints, they resume from the step that both have."""
    settings = config(*TINY, *SMALL_MODEL, "seeds=2", "fuse=true")
    run(settings, tmp_path / "straight")
    with pytest.raises(Stopped):
        run(settings, tmp_path / "hit", Silent(4))
    behind = tmp_path / "hit" / "seed-1"
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
    spent = next(load(tmp_path / "seed-0"))["seconds"]
    (result,) = run(settings, tmp_path).values()
    assert isinstance(result, dict)
    assert 0 < spent < result["seconds"]


def test_any_error_is_journaled(tmp_path: Path) -> None:
    class Broken(Silent):
        def tick(self) -> None:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        run(config(*TINY, *SMALL_MODEL), tmp_path, Broken())
    last = journal.read(tmp_path / "seed-0" / "journal.jsonl")[-1]
    assert (last["event"], last["cause"]) == ("failed", "RuntimeError")


DIVERGING = ("optim.lr=1e30", "optim.momentum=0", "optim.weight_decay=0")


def test_divergence_stops_the_seed_and_says_where(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL, *DIVERGING)
    (outcome,) = run(settings, tmp_path).values()
    assert isinstance(outcome, AblationError)
    assert "seed 0: the loss was not finite at step" in str(outcome)
    assert not (tmp_path / "seed-0" / "result.json").exists()
    assert journal.read(tmp_path / "seed-0" / "journal.jsonl")[-1]["cause"] == "diverged"


def test_divergence_is_ignored_when_told_to(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL, *DIVERGING, "diverged=continue")
    (outcome,) = run(settings, tmp_path).values()
    assert not isinstance(outcome, AblationError)
    assert json.loads((tmp_path / "seed-0" / "result.json").read_text())["train_loss"] is None


def test_two_processes_do_not_train_the_same_seed(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL)
    (tmp_path / "seed-0").mkdir()
    with FileLock(tmp_path / "seed-0" / "lock"):
        outcomes = run(settings | {"seeds": [0, 1]}, tmp_path)
    assert "another process" in str(outcomes[0])
    assert isinstance(outcomes[1], dict), "the free seed is trained"


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size=64: there are only 16"):
        run(config(*TINY, *SMALL_MODEL) | {"batch_size": 64}, tmp_path)


def test_validation_images_are_held_out_and_reported(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL, "data.subset=40", "data.val=0.25")
    (result,) = run(settings, tmp_path).values()
    assert not isinstance(result, AblationError)
    assert {"val_acc", "val_loss", "test_acc", "best_test_acc", "best_epoch"} <= result.keys()
    assert result["data"]["val"].startswith("10 ")


def test_averages_are_reported_beside_the_trained_weights(tmp_path: Path) -> None:
    (result,) = run(config(*TINY, *SMALL_MODEL, "regularizer=ema"), tmp_path).values()
    assert not isinstance(result, AblationError)
    assert result["raw_test_loss"] != result["test_loss"]


@pytest.mark.slow
def test_compile_gives_the_same_training_to_rounding(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL, "aug=[cutout,mixup]", "epochs=1", "optim.lr=0.01")
    run(settings, tmp_path / "eager")
    run({**settings, "compile": True}, tmp_path / "compiled")
    one, other = final_weights(tmp_path / "eager"), final_weights(tmp_path / "compiled")
    for name in (n for n in one if n.startswith("weights.")):
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)
