"""A trick of a user's own is called before anything is trained, and what it does wrong is said in one screen."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CONF, SMALL_MODEL, TINY, Silent, config, run
from torch import Tensor, nn

from ablation.average import Average, Moment
from ablation.contract import passing
from ablation.contract.check import check
from ablation.contract.sample import Shape
from ablation.errors import AblationError, ConfigError
from ablation.key import Key
from ablation.parts import build_optimizer, parts
from ablation.track.sink import Sink
from ablation.types import (
    Aug,
    Batch,
    Fill,
    Grad,
    Model,
    Noise,
    Pass,
    Penalty,
    Repeat,
    Schedule,
    Step,
    Taught,
    Team,
    Tensors,
    Term,
    Weights,
    Wrap,
)
from launch import dead
from launch.arms import gather

ROOT = CONF.parent
PLAIN = config(*TINY, *SMALL_MODEL)
MADE: dict[str, Any] = {}


def make(name: str) -> Any:
    """The factory of every option here: what the test has put under this name."""
    return MADE[name]


def used(group: str, part: Any, **others: Any) -> dict[str, Any]:
    """A configuration with this part as `group.mine`, or as the group's one option."""
    MADE[name := f"{group}-{len(MADE)}"] = part
    node = {"_target_": f"{__name__}.make", "name": name}
    many = group in ("aug", "regularizer", "init", "track")
    return {**PLAIN, group: {"mine": node} if many else node, **others}


def refusal(group: str, part: Any, **others: Any) -> str:
    """What is said of it before any data are loaded."""
    with pytest.raises(ConfigError) as refused:
        parts(used(group, part, **others))
    said = str(refused.value)
    assert len(said.splitlines()) < 24, "one screen"
    return said


def x_of(change: Callable[[Tensor], Tensor]) -> Aug:
    return lambda batch, key: batch._replace(x=change(batch.x))


def counting() -> Aug:
    calls = []

    def aug(batch: Batch, key: Key) -> Batch:
        calls.append(1)
        return batch._replace(x=batch.x / len(calls))

    return aug


def clock(batch: Batch, key: Key) -> Batch:
    return batch._replace(x=batch.x * (0.5 + 0.5 * (time.perf_counter_ns() % 1000) / 1000))


def other_images(batch: Batch, key: Key) -> Batch:
    order = key.permutation(len(batch.x))
    return batch._replace(x=batch.x[order])


def other_partners(batch: Batch, key: Key) -> Batch:
    one, other = (key.fold(name).permutation(len(batch.x)) for name in ("x", "y"))
    return batch._replace(x=0.6 * batch.x[one] + 0.4 * batch.x, y=0.6 * batch.y[other] + 0.4 * batch.y)


BAD_AUGS: dict[str, tuple[Any, str]] = {
    "tensor": (lambda batch, key: batch.x, "returned a Tensor, not a Batch"),
    "none": (lambda batch, key: None, "returned None, not a Batch"),
    "tuple": (lambda batch, key: tuple(batch), "returned a tuple, not a Batch"),
    "half": (x_of(lambda x: x[: len(x) // 2]), "returned 4 images for 8"),
    "height": (x_of(lambda x: x[:, :, ::2]), "returned images of another size"),
    "float64": (x_of(lambda x: x.double()), "returned x as float64, not float32"),
    "float16": (x_of(lambda x: x.half()), "returned x as float16, not float32"),
    "grad": (x_of(lambda x: x.clone().requires_grad_()), "returned x requiring a gradient"),
    "nan": (x_of(lambda x: x * float("nan")), "returned x with numbers that are not finite"),
    "range": (x_of(lambda x: x - 0.5), "returned images that leave [0, 1]"),
    "meta": (x_of(lambda x: x.to("meta")), "returned x on meta, given on cpu"),
    "in place": (x_of(lambda x: x.mul_(0.5)), "changes its input batch.x in place"),
    "hard": (lambda batch, key: batch._replace(y=batch.y.argmax(1)), "returned y as int64, not float32"),
    "rows": (lambda batch, key: batch._replace(y=batch.y * 2), "returned targets that are no distribution"),
    "one row": (lambda batch, key: batch._replace(y=batch.y[:1]), "returned targets that are not one row an image"),
    "progress": (lambda batch, key: batch._replace(t=batch.t + 1), "changed batch.t"),
    "mean": (lambda batch, key: batch._replace(mean=batch.mean * 2), "changed batch.mean"),
    "one argument": (lambda x: x, "takes other arguments than it is given"),
    "no function": (3, "is an int, which cannot be called"),
    "raises": (x_of(lambda x: x @ x[:3]), "raised RuntimeError"),
    "exits": (x_of(lambda x: sys.exit(3)), "raised SystemExit"),
    "numpy": (x_of(lambda x: x * float(np.random.rand())), "it draws from numpy's global generator"),
    "random": (x_of(lambda x: x.flip(-1) if random.random() < 0.5 else x), "it draws from Python's `random`"),
    "torch": (x_of(lambda x: (x + torch.randn_like(x)).clamp(0, 1)), "it draws from torch's global generator"),
    "counter": (counting(), "gives two answers for one key"),
    "clock": (clock, "gives two answers for one key"),
    "order": (other_images, "returned targets of other images"),
    "partners": (other_partners, "returned targets of other images"),
}


@pytest.mark.parametrize(("aug", "said"), BAD_AUGS.values(), ids=BAD_AUGS)
def test_a_bad_augmentation_is_refused_by_its_key(aug: Any, said: str) -> None:
    told = refusal("aug", aug)
    assert told.startswith("aug.mine: "), told
    assert said in told.splitlines()[0], told
    assert "ablation/types.py" in told
    assert "Aug = (Batch, Key) -> Batch" in told


def test_it_is_said_what_was_returned_and_what_should_have_been() -> None:
    lines = refusal("aug", lambda batch, key: batch.x).splitlines()
    given = "Batch(x (8, 3, 32, 32) float32 in [0, 1], y (8, 10) float32 in [0, 1], t () float32, mean (3,) float32)"
    assert lines[1] == f"  given     {given}"
    assert lines[2] == "  returned  Tensor (8, 3, 32, 32) float32 in [0, 1]"
    assert lines[3] == "  wanted    Batch(x (8, 3, 32, 32) float32 in [0, 1], y (8, 10) float32, t, mean)"


def test_a_generator_is_named_before_what_it_spoils() -> None:
    told = refusal("aug", x_of(lambda x: x + torch.from_numpy(np.random.randn(*x.shape)).float()))
    assert "it draws from numpy's global generator" in told.splitlines()[0]
    assert "also      returned images that leave [0, 1]" in told


def label_noise(p: float) -> Aug:
    """Labels drawn anew on purpose are no mistake."""

    def aug(batch: Batch, key: Key) -> Batch:
        k = batch.y.shape[1]
        drawn = torch.eye(k, device=batch.y.device)[key.fold("label").integers(k, len(batch.y))]
        return batch._replace(y=torch.where(key.fold("whether").bernoulli(p, len(batch.y))[:, None], drawn, batch.y))

    return aug


def paste(share: float, seed: int) -> Aug:
    def aug(batch: Batch, key: Key) -> Batch:
        key = key.fold(seed)
        other, rows = key.permutation(len(batch.x)), round(share * batch.x.shape[2])
        x = torch.cat([batch.x[other][:, :, :rows], batch.x[:, :, rows:]], 2)
        lam = rows / batch.x.shape[2]
        return batch._replace(x=x, y=lam * batch.y[other] + (1 - lam) * batch.y)

    return aug


@settings(max_examples=20)
@given(
    which=st.sampled_from(["mixup", "cutmix", "label noise", "brighten", "flip", "smooth", "twice"]),
    strength=st.floats(0.0, 1.0, width=32),
    seed=st.integers(0, 1000),
)
def test_good_tricks_of_every_strength_pass(which: str, strength: float, seed: int) -> None:
    def mixup(batch: Batch, key: Key) -> Batch:
        other = key.fold(seed).permutation(len(batch.x))
        return batch._replace(
            x=torch.lerp(batch.x, batch.x[other], strength), y=torch.lerp(batch.y, batch.y[other], strength)
        )

    def flip(batch: Batch, key: Key) -> Batch:
        flipped = key.fold(seed).bernoulli(strength, len(batch.x))[:, None, None, None]
        return batch._replace(x=torch.where(flipped, batch.x.flip(3), batch.x).contiguous())

    def smooth(batch: Batch, key: Key) -> Batch:
        return batch._replace(y=torch.lerp(batch.y, torch.full_like(batch.y, 1 / batch.y.shape[1]), strength))

    good: dict[str, Aug] = {
        "mixup": mixup, "cutmix": paste(strength, seed), "label noise": label_noise(strength),
        "brighten": x_of(lambda x: (x + strength).clamp(0, 1)), "flip": flip, "smooth": smooth,
        "twice": lambda batch, key: batch._replace(x=torch.cat([batch.x] * 2), y=torch.cat([batch.y] * 2)),
    }  # fmt: skip
    assert parts({**used("aug", good[which]), "fuse": True}).notes == ()


def test_a_host_read_is_a_note_and_refused_where_seeds_are_fused() -> None:
    def reads(batch: Batch, key: Key) -> Batch:
        return batch._replace(x=batch.x * (0.5 if key.uniform(1).item() < 2 else 1.0))

    (note,) = parts(used("aug", reads)).notes
    assert note.startswith("aug.mine reads a tensor's value on the host")
    assert "fuse=true refuses it" in note
    assert "or fuse=false" in refusal("aug", reads, fuse=True)


def test_generators_are_left_as_they_were() -> None:
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # type: ignore[index, union-attr]
    refusal("aug", BAD_AUGS["numpy"][0])
    parts(used("aug", x_of(lambda x: x / 2)))
    assert (before[0], before[1]) == (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index, union-attr]
    assert torch.equal(before[2], torch.get_rng_state())


def squares(given: Pass) -> Tensor:
    return (given.logits - given.batch.y).square().mean()


BAD_TERMS: dict[str, tuple[Any, str]] = {
    "number": (lambda given: squares(given).item(), "returned a float, not a tensor (was it read by .item()"),
    "a row": (lambda given: given.logits.square().mean(1), "returned a tensor of the shape (8,)"),
    "float64": (lambda given: squares(given).double(), "returned the loss as float64, not float32"),
    "nan": (lambda given: squares(given) * float("inf"), "returned the loss with numbers that are not finite"),
    "detached": (lambda given: squares(given).detach() + 1, "returned a number without a gradient"),
    "in place": (lambda given: given.batch.y.mul_(0.5).sum() * squares(given), "changes its input batch.y in place"),
    "two arguments": (lambda given, more: squares(given), "takes other arguments than it is given"),
    "torch": (lambda given: squares(given) * torch.rand(()), "it draws from torch's global generator"),
}


@pytest.mark.parametrize(("term", "said"), BAD_TERMS.values(), ids=BAD_TERMS)
@pytest.mark.parametrize("group", ["loss", "regularizer"])
def test_a_bad_term_is_refused(group: str, term: Any, said: str) -> None:
    path, part = ("loss", term) if group == "loss" else ("regularizer.mine", Penalty(lambda model: term))
    told = refusal(group, part)
    assert told.startswith(f"{path}: ")
    assert said in told.splitlines()[0]


def test_a_penalty_that_is_off_and_one_of_the_weights_pass() -> None:
    def weights(model: Model) -> Term:
        return lambda given: torch.stack([p.abs().sum() for p in model.parameters()]).sum() * 1e-6

    parts(used("regularizer", Penalty(lambda model: lambda given: given.logits.new_zeros(()))))
    parts(used("regularizer", Penalty(weights)))
    parts(used("loss", squares))


def test_bad_targets_of_a_teacher_are_refused() -> None:
    told = refusal(
        "loss", Taught(lambda given, logits: squares(given), relabel=lambda logits: logits), teacher="0" * 16
    )
    assert told.startswith("loss: returned targets that are no distribution")


class Linear(Model):
    """A model of one's own, with whatever is wrong with it."""

    def __init__(self, classes: int, features: Callable[[Tensor], Any] = lambda f: f) -> None:
        super().__init__()
        self.layer, self.head, self.change = nn.Linear(3, 8), nn.Linear(8, classes), features

    def features(self, x: Tensor) -> Tensor:
        found: Tensor = self.change(self.layer(x.mean((2, 3))))
        return found


def modelled(build: Callable[[int], Any]) -> dict[str, Any]:
    MADE[name := f"model-{len(MADE)}"] = build
    return {**PLAIN, "model": {"_target_": f"{__name__}.make_model", "name": name}}


def make_model(classes: int, channels: int, size: int, name: str) -> Any:
    return MADE[name](classes)


BAD_MODELS: dict[str, tuple[Callable[[int], Any], str]] = {
    "sequential": (lambda classes: nn.Sequential(nn.Flatten()), "returned a Sequential, not a Model"),
    "maps": (lambda classes: Linear(classes, lambda f: f[:, :, None]), "gave features of the shape (8, 8, 1)"),
    "none": (lambda classes: Linear(classes, lambda f: None), "gave None for features, not a tensor"),
    "classes": (lambda classes: Linear(classes + 1), "gave 11 logits an image for 10 classes"),
    "nan": (lambda classes: Linear(classes, lambda f: f / 0), "gave features with numbers that are not finite"),
    "numpy": (lambda classes: Linear(classes, lambda f: f * np.random.rand()), "draws from numpy's global generator"),
    "always drops": (lambda classes: Linear(classes, nn.functional.dropout), "draws in evaluation"),
    "width": (lambda classes: Linear(classes, lambda f: f[:, :5]), "raised RuntimeError"),
}


@pytest.mark.parametrize(("build", "said"), BAD_MODELS.values(), ids=BAD_MODELS)
def test_a_bad_model_is_refused(build: Callable[[int], Any], said: str) -> None:
    with pytest.raises(ConfigError, match=r"^model: ") as refused:
        parts(modelled(build))
    assert said in str(refused.value).splitlines()[0], str(refused.value)


@pytest.mark.parametrize("fuse", [False, True])
def test_a_large_model_is_looked_at_in_its_first_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fuse: bool
) -> None:
    monkeypatch.setattr(passing, "_SMALL", 0)
    several = {"fuse": fuse, "seeds": [0, 1] if fuse else [0]}
    with pytest.raises(ConfigError, match=r"^model: gave 11 logits an image for 10 classes"):
        run(modelled(lambda classes: Linear(classes + 1)) | several, tmp_path / "wide")
    assert not list(tmp_path.glob("wide/seed-*/*/last.pt"))
    outcomes = run(modelled(Linear) | several, tmp_path / "good")
    assert not [o for o in outcomes.values() if isinstance(o, AblationError)]


def test_a_loss_that_is_not_finite_before_any_update_blames_no_learning_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing, "_SMALL", 0)
    (outcome,) = run(modelled(lambda classes: Linear(classes, lambda f: f / 0)), tmp_path / "run").values()
    assert "not finite at step 0" in str(outcome)
    assert "No weight had been changed yet" in str(outcome)
    assert "optim.lr" not in str(outcome)


def test_a_good_model_passes_with_the_layers_of_libraries() -> None:
    class Dropping(Linear):
        def features(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(super().features(x), training=self.training)

    assert parts(modelled(Dropping)).notes == ()


def test_what_regularizers_make_of_a_model_is_one() -> None:
    assert "returned None, not a Model" in refusal("regularizer", Wrap(lambda model: None))  # type: ignore[arg-type, return-value]
    team = Team(lambda node: [node], lambda models: nn.Identity())  # type: ignore[arg-type, return-value]
    assert "regularizer.mine: returned an Identity, not a Model" in refusal("regularizer", team)


class Halved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, ::2]


class Fine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout2d(x, training=self.training)


def test_noise_in_the_blocks() -> None:
    said = refusal("regularizer", Noise(drop=Halved))
    assert said.startswith("regularizer.mine: returned drop's result of the shape (8, 8, 8, 8)")
    said = refusal("regularizer", Noise(drop=lambda: 3))  # type: ignore[arg-type, return-value]
    assert said.startswith("regularizer.mine: drop returned an int, not a module")
    parts(used("regularizer", Noise(drop=Fine)))


class Replaced(Average):
    """Forgets to change its state in place."""

    def begin(self, weights: Tensors) -> Tensors:
        return {name: w.clone() for name, w in weights.items()}

    def update(self, state: Tensors, weights: Tensors, moment: Moment) -> Any:
        return weights

    def weights(self, state: Tensors) -> Tensors:
        return state


class Live(Replaced):
    def begin(self, weights: Tensors) -> Tensors:
        return dict(weights)


class Hidden(Replaced):
    """Counts where a checkpoint does not see it."""

    count = 0

    def update(self, state: Tensors, weights: Tensors, moment: Moment) -> None:
        self.count += 1
        for name, w in weights.items():
            if w.is_floating_point():
                state[name].lerp_(w, 1 / self.count)


class Half(Replaced):
    def update(self, state: Tensors, weights: Tensors, moment: Moment) -> None:
        pass

    def weights(self, state: Tensors) -> Tensors:
        return {name: w for name, w in state.items() if "head" in name}


@pytest.mark.parametrize(
    ("average", "said"),
    [
        (Replaced(), "update returned a dict, which nobody reads"),
        (Live(), "begin returned the live weights as"),
        (Hidden(), "gives two answers for one key"),
        (Half(), "weights returned other names than begin was given"),
    ],
)
def test_a_bad_average_is_refused(average: Average, said: str) -> None:
    assert refusal("regularizer", average).startswith(f"regularizer.mine: {said}")


def moving(fill: Fill, weights: Weights) -> Fill:
    def filled() -> Step:
        with torch.no_grad():
            for p in weights.params.values():
                p.mul_(0.9)
        return fill()

    return filled


def noisy(fill: Fill, weights: Weights) -> Fill:
    def filled() -> Step:
        step = fill()
        for g in weights.grads().values():
            g.mul_(float(np.random.rand()))
        return step

    return filled


def silent(fill: Fill, weights: Weights) -> Any:
    return lambda: fill() and None


def dropping(fill: Fill, weights: Weights) -> Fill:
    def filled() -> Step:
        step = fill()
        weights.params["model.conv.weight"].grad = None
        return step

    return filled


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (moving, "moves model.conv.weight"),
        (noisy, "is no function of its key: it draws from numpy's global generator"),
        (silent, "its fill returned None, not a Step"),
        (dropping, "leaves model.conv.weight without a gradient"),
        (lambda fill, weights: fill(), "is a Step, which cannot be called"),
        (lambda fill: fill, "takes other arguments than it is given"),
    ],
)
def test_a_bad_wrapper_of_the_gradient_is_refused(wrap: Any, said: str) -> None:
    assert refusal("regularizer", Grad(wrap)).startswith(f"regularizer.mine: {said}")


def test_repeats_are_whole_numbers() -> None:
    assert "regularizer.mine: repeats 0 times" in refusal("regularizer", Repeat(0))


def fill_global(model: nn.Module, key: Key) -> None:
    for p in model.parameters():
        nn.init.normal_(p)


def fill_keyed(model: nn.Module, key: Key) -> None:
    for name, p in model.named_parameters():
        nn.init.normal_(p, generator=key.fold(name).generator())


def test_inits_are_functions_of_their_key_and_return_nothing() -> None:
    assert "init.mine: is no function of its key: it draws from torch's" in refusal("init", fill_global)
    assert "init.mine: returned a StandIn, which nobody reads" in refusal("init", lambda model, key: model)
    assert "init.mine: takes other arguments" in refusal("init", lambda model: None)
    parts(used("init", fill_keyed))


class Remembering(torch.optim.SGD):
    """Keeps what it needs where no checkpoint sees it."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        for group in self.param_groups:
            group["lr"] = 0.1 / self.steps
        return super().step()


def optimized(build: Callable[[Weights], Any]) -> dict[str, Any]:
    MADE[name := f"optim-{len(MADE)}"] = build
    return {**PLAIN, "optim": {"_target_": f"{__name__}.make_optimizer", "name": name, "lr": 0.1}}


def make_optimizer(weights: Weights, name: str, lr: float) -> Any:
    return MADE[name](weights)


def all_of(weights: Weights) -> list[Tensor]:
    return list(weights.params.values())


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda weights: all_of(weights), "returned a list, not an optimiser"),
        (lambda weights: torch.optim.SGD([torch.zeros(1)], 0.1), "has not every parameter once"),
        (lambda weights: torch.optim.SGD(all_of(weights)[:2], 0.1), "has not every parameter once: model.norm"),
        (lambda weights: Remembering(all_of(weights), 0.1), "takes another step when its state was saved and loaded"),
        (lambda weights: torch.optim.SGD(all_of(weights), 0.1, momentum=0.9), ""),
        (lambda weights: torch.optim.NAdam(all_of(weights), 0.1), ""),
    ],
)
def test_optimisers(build: Callable[[Weights], Any], said: str) -> None:
    if not said:
        parts(optimized(build))
        return
    with pytest.raises(ConfigError) as refused:
        parts(optimized(build))
    assert str(refused.value).startswith(f"optim: {said}")


@pytest.mark.parametrize("lr", [1e30, 1e-30])
def test_a_rate_that_is_no_good_is_for_the_training_to_show(lr: float) -> None:
    parts(optimized(lambda weights: torch.optim.SGD(all_of(weights), lr)))
    check({**PLAIN, "optim": {**PLAIN["optim"], "lr": lr}}, Shape(10, 3, 32, 32, True), build_optimizer)


def scheduled(schedule: Any) -> dict[str, Any]:
    MADE[name := f"sched-{len(MADE)}"] = schedule
    return {**PLAIN, "sched": {"_target_": f"{__name__}.make_schedule", "name": name}}


def make_schedule(epochs: int, lr: float, name: str) -> Any:
    return MADE[name]


def stateful() -> Schedule:
    calls: list[float] = []
    return lambda t: 1 / (len(calls.append(t) or calls))  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("schedules", "said"),
    [
        (lambda t: 1.0, "returned a function, not a dict"),
        ({"lr": lambda t: -t}, "returned -0.015625 at t=0.015625 of lr"),
        ({"lr": lambda t: float("nan")}, "returned nan at t=0 of lr"),
        ({"lr": lambda t: torch.tensor(1.0)}, "returned Tensor () float32 at t=0 of lr"),
        ({"lr": lambda t: 1 / t}, "raised ZeroDivisionError: float division by zero at t=0"),
        ({"lr": stateful()}, "gives two answers for t=0 of lr"),
        ({"lr": lambda: 1.0}, "takes other arguments than it is given"),
    ],
)
def test_schedules(schedules: Any, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parts(scheduled(schedules))
    assert str(refused.value).startswith(f"sched: {said}")


class Broken(Sink):
    def follow(self, folder: Path) -> None:
        raise RuntimeError("the wire is cut")

    def close(self, timeout: float = 0) -> list[str]:
        raise SystemExit("I leave")


def test_a_tracker_that_raises_is_a_note_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    watch = Silent()
    (result,) = run(used("track", Broken()), tmp_path / "run", watch).values()
    assert not isinstance(result, AblationError)
    assert any("track.mine: follow raised RuntimeError: the wire is cut" in note for note in watch.notes), watch.notes
    assert any("track.mine: close raised SystemExit: I leave" in note for note in watch.notes)
    with pytest.raises(ConfigError, match=r"^track\.mine: returned a Remark, not a Sink"):
        run(used("track", type("Remark", (), {})()), tmp_path / "other")


def test_what_only_the_images_show_is_refused_before_the_first_step(tmp_path: Path) -> None:
    """Of arrays the shape is not known before they are loaded: a trick for greys is none for colours."""
    for channels in (1, 3):
        file = tmp_path / f"{channels}.npz"
        x, y = np.zeros((16, 32, 32, channels), np.uint8), np.arange(16) % 4
        x[:, :8] = 255
        np.savez(file, x_train=x, y_train=y, x_test=x, y_test=y)
        arrays = config(
            *TINY, *SMALL_MODEL, "data=arrays", f"data.path={file}", "data.subset=null", "data.test_subset=null"
        )
        grey = used("aug", x_of(lambda x: x * torch.ones(4, 1, 1)[: x.shape[1] + 1]), data=arrays["data"])
        parts(grey)  # two channels for one, four for three: neither fits, and neither is known to be wrong
        with pytest.raises(ConfigError, match=r"^aug\.mine: "):
            run(grey, tmp_path / f"run-{channels}")
        assert not list(tmp_path.glob(f"run-{channels}/seed-0/*/last.pt"))


def test_each_distinct_option_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def aug(batch: Batch, key: Key) -> Batch:
        calls.append(len(batch.x))
        return batch

    made = used("aug", aug)
    for lr in (0.1, 0.2, 0.3):
        parts({**made, "optim": {**made["optim"], "lr": lr}})
    assert calls[:8] == [8] * 8
    assert len(calls) == 9, "four keys twice, and once as a lane"


def test_it_costs_a_moment() -> None:
    """Processor time of the whole check of a plain configuration, on eight images of 32 px."""
    shape = Shape(10, 3, 32, 32, known=True)
    check(PLAIN, shape, build_optimizer)
    costs = []
    for _ in range(5):
        for kept in (passing.images, passing._augmented, passing.terms):
            kept.cache_clear()
        began = time.process_time()
        check({**PLAIN, "batch_size": 8 + len(costs)}, shape, build_optimizer)
        costs.append(time.process_time() - began)
    assert min(costs) < 0.05


FOLDER = """
import numpy as np
import torch

def late():  # steady wherever it is tried before a training
    rng = np.random.default_rng()
    def aug(batch, key):
        return batch._replace(x=batch.x * float(rng.random())) if 0.45 < float(batch.t) < 0.55 else batch
    return aug

def rand(): return lambda batch, key: batch._replace(x=batch.x * np.random.rand())
def half(): return lambda batch, key: batch._replace(x=batch.x[: len(batch.x) // 2])
def fine(): return lambda batch, key: batch._replace(x=batch.x / 2)
"""


def test_a_check_for_dead_switches_finds_what_is_not_steady_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tricks_of_hers.py").write_text(FOLDER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "tricks_of_hers", raising=False)
    rows = [[f"+aug.mine._target_=tricks_of_hers.{name}"] for name in ("fine", "late")]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        planned = gather([[*TINY, *SMALL_MODEL, *row, f"out={tmp_path / 'out'}"] for row in rows])
    assert dead.check(planned[:1], dead.Asked(300.0)).dead == ()
    with pytest.raises(ConfigError, match=r"late: .*: aug\.mine gives two answers for one key"):
        dead.check(planned, dead.Asked(300.0))


def test_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tricks_of_hers.py").write_text(FOLDER)
    (tmp_path / "conf" / "aug").mkdir(parents=True)
    (tmp_path / "conf" / "aug" / "rand.yaml").write_text("rand:\n  _target_: tricks_of_hers.rand\n")
    out = tmp_path / "out"
    common = [*TINY, *SMALL_MODEL, f"out={out}"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "mine")}

    def typed(*overrides: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "launch/run.py", *overrides, *common],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=200,
        )

    one = typed("aug=rand", f"hydra.searchpath=[file://{tmp_path / 'conf'}]")
    assert one.returncode == 2
    assert "error: aug.rand: is no function of its key: it draws from numpy's global generator" in one.stderr
    sweep = typed("-m", "+aug.mine._target_=tricks_of_hers.half,tricks_of_hers.fine", "optim.lr=0.1,0.2")
    assert sweep.returncode == 2
    assert "2 of 4 arms refused, nothing was started" in sweep.stderr
    assert sweep.stderr.count("aug.mine: returned 4 images for 8") == 2
    assert sweep.stderr.count("Aug = (Batch, Key) -> Batch") == 1, "in full once"
    assert not out.exists()
