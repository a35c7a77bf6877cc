"""The loop against the usual PyTorch loop, and what it does when things go wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny import SMALL_MODEL, TINY, Silent, config, final_weights, run

from ablation.build import build
from ablation.errors import AblationError, ConfigError, DataError
from ablation.key import Key
from ablation.machine.precision import choose_precision
from ablation.store import journal
from ablation.store.attempt import Busy, Deleted, live, numbers
from ablation.store.claim import claim
from ablation.store.result import Damaged
from ablation.trial.observer import Leg
from ablation.trial.parts import build_learner, parts
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
    # The numbers of batches are not kept.
    compared = {n: v for n, v in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert {f"weights.model.{name}" for name in compared} <= trained.keys()
    for name, value in compared.items():
        torch.testing.assert_close(
            trained[f"weights.model.{name}"], value, rtol=1e-3, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_asking_again_is_a_no_op(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL)
    first, watch = run(settings, tmp_path), Silent()
    before = journal.events(tmp_path / "seed-0")
    assert run(settings, tmp_path, watch) == first
    assert watch.steps == 0
    assert journal.events(tmp_path / "seed-0") == before
    assert numbers(tmp_path / "seed-0") == [1]


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


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (RuntimeError("boom"), "error"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (MemoryError(), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "oom"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (OSError(errno.EACCES, "Permission denied"), "error"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "oom"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronous"), "oom"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "oom"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "oom"),
        (SystemExit("I leave"), "error"),
        (ConfigError("model.depth: no"), "config"),
        (DataError("train.npz: no"), "config"),
    ],
    ids=repr,
)
def test_any_error_is_journaled(tmp_path: Path, error: BaseException, cause: str) -> None:
    class Broken(Silent):
        def tick(self) -> None:
            raise error

    with pytest.raises(type(error)):
        run(config(*TINY, *SMALL_MODEL), tmp_path, Broken())
    last = journal.events(tmp_path / "seed-0")[-1]
    assert (last["event"], last["cause"]) == ("failed", cause)
    assert last["message"] == (str(error) or "MemoryError")
    traced = last["trace"].startswith("Traceback") and "in tick\n    raise error" in last["trace"]
    assert traced is (cause != "disk")  # of which a path says more
    assert not live(tmp_path / "seed-0" / "attempt-1", lease=60)


def test_what_fails_before_training_is_journaled_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size=64: there are only 16"):
        run(config(*TINY, *SMALL_MODEL) | {"batch_size": 64}, tmp_path)
    (only,) = journal.events(tmp_path / "seed-0")
    assert (only["event"], only["cause"]) == ("failed", "config")


DIVERGING = ("optim.lr=1e30", "optim.momentum=0", "optim.weight_decay=0")


def test_divergence_stops_the_seed_and_says_where(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL, *DIVERGING)
    (outcome,) = run(settings, tmp_path).values()
    assert isinstance(outcome, AblationError)
    assert "seed 0: the loss was not finite at step" in str(outcome)
    assert not (tmp_path / "seed-0" / "result.json").exists()
    assert journal.events(tmp_path / "seed-0")[-1]["cause"] == "diverged"


def test_divergence_is_ignored_when_told_to(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL, *DIVERGING, "diverged=continue")
    (outcome,) = run(settings, tmp_path).values()
    assert not isinstance(outcome, AblationError)
    assert json.loads((tmp_path / "seed-0" / "result.json").read_text())["train_loss"] is None


def test_two_processes_do_not_train_the_same_seed(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL)
    with claim(tmp_path / "seed-0", lease=60):
        outcomes = run(settings | {"seeds": [0, 1]}, tmp_path)
    assert isinstance(outcomes[0], Busy)
    assert f"another process is training it, process {os.getpid()} on" in str(outcomes[0])
    assert isinstance(outcomes[1], dict), "the free seed is trained"


def test_a_damaged_result_fails_its_seed_only_and_deleted_the_trial_ends_again(tmp_path: Path) -> None:
    settings, watch = config(*TINY, *SMALL_MODEL) | {"seeds": [0, 1]}, Silent()
    first = run(settings | {"seeds": [0]}, tmp_path)[0]
    path = tmp_path / "seed-0" / "result.json"
    path.write_bytes(path.read_bytes()[:100])
    outcomes = run(settings, tmp_path)
    assert isinstance(outcomes[0], Damaged)
    assert isinstance(outcomes[1], dict)
    path.unlink()
    again = run(settings, tmp_path, watch)[0]
    assert isinstance(first, dict)
    assert isinstance(again, dict)
    assert watch.steps == 0, "from its last checkpoint"
    assert again["test_acc"] == first["test_acc"]


@pytest.mark.parametrize("fuse", [False, True])
def test_a_folder_that_is_deleted_while_it_is_trained_ends_its_seed_only(tmp_path: Path, fuse: bool) -> None:
    class Deleting(Silent):
        def begin(self, leg: Leg) -> None:
            shutil.rmtree(tmp_path / "seed-0", ignore_errors=True)
            super().begin(leg)

    settings = config(*TINY, *SMALL_MODEL) | {"seeds": [0, 1], "fuse": fuse}
    outcomes = run(settings, tmp_path, Deleting())
    assert isinstance(outcomes[0], Deleted)
    assert f"{tmp_path}/seed-0/attempt-1: was deleted while it was trained; the same command" in str(outcomes[0])
    assert isinstance(outcomes[1], dict)
    assert not (tmp_path / "seed-0").exists(), "nothing is written that nobody would find"
    again = run(settings, tmp_path)
    assert isinstance(again[0], dict)
    assert again[1] == outcomes[1]


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
