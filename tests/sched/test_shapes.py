"""Each schedule against torch's or timm's."""

import math
from collections.abc import Callable

import pytest
import torch
from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.scheduler.poly_lr import PolyLRScheduler
from timm.scheduler.scheduler import Scheduler
from timm.scheduler.tanh_lr import TanhLRScheduler
from torch.optim import Optimizer
from torch.optim import lr_scheduler as torchs

from ablation.sched.cosine import cosine
from ablation.sched.htd import htd
from ablation.sched.linear import linear
from ablation.sched.one_cycle import one_cycle
from ablation.sched.poly import poly
from ablation.sched.range import range as range_
from ablation.sched.step import step
from tests.sched.oracles import EPOCHS, LR, asked, factory, optimizer, rates, stepped, warm_then

Make = Callable[[Optimizer], torchs.LRScheduler | Scheduler]
WARM = {"t_initial": EPOCHS - 10, "warmup_t": 10, "warmup_lr_init": 1e-5, "warmup_prefix": True}
WARM_UP = {"warmup": 10, "warmup_start": 1e-5}
ORACLES: list[tuple[str, dict[str, object], Make]] = [
    ("step", {"every": 30}, lambda o: torchs.StepLR(o, 30, gamma=0.1)),
    ("step", {"every": 0.15, "gamma": 0.5}, lambda o: torchs.StepLR(o, 30, gamma=0.5)),
    ("exponential", {"gamma": 0.97}, lambda o: torchs.ExponentialLR(o, 0.97)),
    ("exponential", {"gamma": 0.97, **WARM_UP}, lambda o: warm_then(torchs.ExponentialLR(o, 0.97), 10, 1e-5)),
    ("linear", {"eta": 0.002}, lambda o: torchs.LinearLR(o, 1, 0.002 / LR, EPOCHS)),
    ("linear", {**WARM_UP}, lambda o: warm_then(torchs.LinearLR(o, 1, 0, EPOCHS - 10), 10, 1e-5)),
    ("poly", {"power": 0.9}, lambda o: torchs.PolynomialLR(o, EPOCHS, 0.9)),
    ("poly", {"eta": 1e-3, **WARM_UP}, lambda o: PolyLRScheduler(o, power=2, lr_min=1e-3, cycle_limit=9, **WARM)),
    ("htd", {"eta": 1e-4}, lambda o: TanhLRScheduler(o, EPOCHS, lb=-6, ub=3, lr_min=1e-4)),
    (
        "htd",
        {"upper": 4, **WARM_UP},
        lambda o: TanhLRScheduler(o, lb=-6, ub=4, **WARM),
    ),
]


@pytest.mark.parametrize(("name", "arguments", "oracle"), ORACLES, ids=lambda v: v if isinstance(v, str) else "")
def test_is_the_librarys(name: str, arguments: dict[str, object], oracle: Make) -> None:
    scheduler = oracle(optimizer())
    said = asked(scheduler) if isinstance(scheduler, Scheduler) else stepped(scheduler)
    assert rates(factory(name)(EPOCHS, LR, **arguments)) == pytest.approx(said, rel=1e-5)


@pytest.mark.parametrize(("len_", "mult", "decay", "eta", "warmup"), [
    (10, 2, 1, 0.0, 0), (10, 2, 1, 1e-5, 10), (40, 1.5, 0.7, 1e-4, 10), (40, 1.5, 0.5, 1e-4, 10), (38, 1, 1, 1e-5, 10),
    (7, 1.3, 0.9, 0.0, 3), (10, 1, 0.99, 0.0, 0),
])  # fmt: skip
def test_sgdr_is_timms(len_: int, mult: float, decay: float, eta: float, warmup: int) -> None:
    scheduler = CosineLRScheduler(
        optimizer(), t_initial=len_, lr_min=eta, cycle_mul=mult, cycle_decay=decay, cycle_limit=1000,
        warmup_t=warmup, warmup_lr_init=1e-5, warmup_prefix=True,
    )  # fmt: skip
    f = factory("sgdr")(EPOCHS, LR, len_, mult, decay, eta, "epoch", warmup=warmup, warmup_start=1e-5)
    assert rates(f) == pytest.approx(asked(scheduler), rel=1e-9)


def test_sgdr_is_torchs_at_every_step() -> None:
    per_epoch, epochs = 7, 70
    scheduler = torchs.CosineAnnealingWarmRestarts(optimizer(), T_0=10 * per_epoch, T_mult=2, eta_min=1e-3)
    for arguments in ({"len": 10}, {"len": 10 * per_epoch, "unit": "iteration", "steps_per_epoch": per_epoch}):
        f, steps = factory("sgdr")(epochs, LR, mult=2, eta=1e-3, **arguments)["lr"], epochs * per_epoch
        scheduler = torchs.CosineAnnealingWarmRestarts(optimizer(), T_0=10 * per_epoch, T_mult=2, eta_min=1e-3)
        assert [LR * f(i / steps) for i in range(steps)] == pytest.approx(stepped(scheduler, steps), rel=1e-6)


@pytest.mark.parametrize("warmup", [0, 10, 0.5])
def test_sgdr_of_one_cycle_is_cosine(warmup: float) -> None:
    one = factory("sgdr")(EPOCHS, LR, EPOCHS - warmup, eta=1e-5, warmup=warmup, warmup_start=1e-5)["lr"]
    other = cosine(EPOCHS, LR, 1e-5, warmup, warmup_start=1e-5)["lr"]
    steps = EPOCHS * 97
    assert [one(i / steps) for i in range(steps)] == [other(i / steps) for i in range(steps)], "bit for bit"


def cycled(steps: int, three_phase: bool, shape: str) -> tuple[list[float], list[float]]:
    """Rates and momenta of torch's OneCycleLR, whose phases end a step before their share is over."""
    sgd, share = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1, momentum=0.9), 0.3
    scheduler = torchs.OneCycleLR(
        sgd, LR, total_steps=steps + 1, pct_start=(share * steps + 1) / (steps + 1), three_phase=three_phase,
        anneal_strategy="cos" if shape == "cosine" else "linear", base_momentum=0.85, max_momentum=0.95,
    )  # fmt: skip
    found = []
    for _ in range(steps):
        found.append((float(sgd.param_groups[0]["lr"]), float(sgd.param_groups[0]["momentum"])))
        sgd.step()
        scheduler.step()
    return [r for r, _ in found], [m for _, m in found]


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_one_cycle_is_torchs(shape: str, three_phase: bool) -> None:
    torch_rates, torch_momenta = cycled(500, three_phase, shape)
    f = one_cycle(5, LR, shape=shape, three_phase=three_phase, momentum=0.85 / 0.95)
    assert [LR * f["lr"](i / 500) for i in range(500)] == pytest.approx(torch_rates, rel=1e-9)
    assert [0.95 * f["momentum"](i / 500) for i in range(500)] == pytest.approx(torch_momenta, rel=1e-9)
    assert list(one_cycle(5, LR)) == ["lr"], "the momentum is left alone"


def test_one_cycle_comes_after_its_warm_up() -> None:
    f = one_cycle(100, LR, warmup=50, warmup_start=0, momentum=0.5)
    assert [f["lr"](t) * LR for t in (0, 0.25, 0.5)] == pytest.approx([0, LR / 50, LR / 25])
    assert (f["lr"](0.65), f["momentum"](0.65)) == pytest.approx((1, 0.5))
    assert f["momentum"](0.3) == 1


def test_range_rises_by_one_factor() -> None:
    found = [LR * range_(3, LR, 1e-4, 10)["lr"](i / 100) for i in range(100)]
    assert found == pytest.approx([1e-4 * 10 ** (i / 20) for i in range(100)])
    found = [LR * range_(3, LR, 1, 3, "linear")["lr"](i / 100) for i in range(100)]
    assert found == pytest.approx([1 + i / 50 for i in range(100)])


def test_poly_of_power_1_and_tanh_of_a_point() -> None:
    assert rates(poly(EPOCHS, LR, 1.0, 0.1)) == rates(linear(EPOCHS, LR, 0.1))
    assert htd(200, LR)["lr"](2 / 3) == pytest.approx(0.5), "the tanh is 0 where 6/9 of its range are behind"
    assert htd(200, LR)["lr"](1 - 1e-12) == pytest.approx((1 - math.tanh(3)) / 2)


@pytest.mark.parametrize(("epochs", "per_epoch"), [(10, 1), (61, 97), (200, 391), (7, 3), (120, 49)])
def test_steps_and_restarts_act_at_the_first_step_of_their_epoch(epochs: int, per_epoch: int) -> None:
    """Not one step late, whatever step/steps rounds to."""
    for every in {1, epochs // 3, epochs // 2} - {0}:
        f, steps = step(epochs, LR, every)["lr"], epochs * per_epoch
        assert f((every * per_epoch - 1) / steps) == 1
        assert f(every * per_epoch / steps) == pytest.approx(0.1)
        for arguments in ({"len": every}, {"len": every * per_epoch, "unit": "iteration"}):
            g = factory("sgdr")(epochs, LR, **arguments, steps_per_epoch=per_epoch)["lr"]
            restarts = [i for i in range(1, steps) if g(i / steps) == 1]
            assert restarts == list(range(every * per_epoch, steps, every * per_epoch)) or every * per_epoch == 1


BAD = [
    ("step", {"every": 0}, "every"), ("step", {"every": 200}, "every"), ("step", {"every": 5, "warmup": 10}, "every"),
    ("step", {"gamma": 0}, "gamma"), ("exponential", {"gamma": 1.1}, "gamma"), ("exponential", {"gamma": 0}, "gamma"),
    ("linear", {"eta": 0.3}, "eta"), ("poly", {"eta": -1}, "eta"), ("poly", {"power": 0}, "power"),
    ("htd", {"lower": 3}, "lower"), ("htd", {"eta": 0.3}, "eta"),
    ("one_cycle", {"rise": 1}, "rise"), ("one_cycle", {"rise": 0.5, "three_phase": True}, "rise"),
    ("one_cycle", {"div": 0.5}, "div"), ("one_cycle", {"final_div": 0}, "final_div"),
    ("one_cycle", {"shape": "cos"}, "shape"), ("one_cycle", {"momentum": 0.95, "div": 0}, "div"),
    ("one_cycle", {"momentum": 1.1}, "momentum"), ("sgdr", {"len": 0}, "len"), ("sgdr", {"mult": 0.5}, "mult"),
    ("sgdr", {"len": 0.5, "unit": "iteration"}, "len"), ("sgdr", {"decay": 0}, "decay"), ("sgdr", {"eta": 0.3}, "eta"),
    ("cosine", {"over": "half"}, "over"), ("sgdr", {"per": "epochs"}, "per"), ("sgdr", {"unit": "step"}, "unit"),
    ("sgdr", {"per": "epoch", "unit": "iteration"}, "per"), ("range", {"start": 0}, "start"),
    ("range", {"start": 11}, "start"), ("range", {"shape": "log"}, "shape"), ("range", {"lr": 0}, "lr"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "named"), BAD)
def test_refuses(name: str, arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        factory(name)(**{"epochs": EPOCHS, "lr": LR, **arguments})
