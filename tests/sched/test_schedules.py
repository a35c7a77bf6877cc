import inspect
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.scheduler.cosine_lr import CosineLRScheduler
from tiny import options
from torch.optim import lr_scheduler as torchs

from ablation.sched.constant import constant
from ablation.sched.cosine import cosine
from ablation.sched.multistep import multistep
from tests.sched.oracles import EPOCHS, LR, factory, optimizer, rates, stepped, warm_then

WARMED = [name for name in options("sched") if "warmup" in inspect.signature(factory(name)).parameters]


@pytest.mark.parametrize("eta", [0.0, 1e-5, 5e-4])
def test_cosine_is_torchs(eta: float) -> None:
    torch_says = stepped(torchs.CosineAnnealingLR(optimizer(), T_max=EPOCHS, eta_min=eta))
    assert rates(cosine(EPOCHS, LR, eta=eta)) == pytest.approx(torch_says, rel=1e-6)


def test_warm_cosine_is_torchs() -> None:
    after = torchs.CosineAnnealingLR(optimizer(), T_max=EPOCHS - 10, eta_min=1e-4)
    torch_says = stepped(warm_then(after, 10, 1e-5))
    assert rates(cosine(EPOCHS, LR, eta=1e-4, warmup=10, warmup_start=1e-5)) == pytest.approx(torch_says, rel=1e-5)


def test_warm_cosine_is_timms() -> None:
    scheduler = CosineLRScheduler(
        optimizer(), t_initial=EPOCHS - 10, lr_min=1e-4, warmup_t=10, warmup_lr_init=1e-5, warmup_prefix=True
    )
    timm_says = [scheduler._get_lr(epoch)[0] for epoch in range(EPOCHS)]
    assert rates(cosine(EPOCHS, LR, eta=1e-4, warmup=10, warmup_start=1e-5)) == pytest.approx(timm_says, rel=1e-9)


@pytest.mark.parametrize("milestones", [[0.5, 0.75], [100, 150], [0.5, 150]])
def test_multistep_is_torchs(milestones: list[float]) -> None:
    torch_says = stepped(torchs.MultiStepLR(optimizer(), [100, 150], gamma=0.1))
    assert rates(multistep(EPOCHS, LR, milestones)) == pytest.approx(torch_says, rel=1e-9)


def test_warm_multistep_counts_from_epoch_0() -> None:
    found = rates(multistep(EPOCHS, LR, [100, 150], warmup=10))
    assert found[:10] == pytest.approx([LR * e / 10 for e in range(10)])
    assert found[10:] == pytest.approx([LR] * 90 + [LR / 10] * 50 + [LR / 100] * 50)


def test_exponential_warm_up_is_a_constant_factor() -> None:
    found = rates(constant(EPOCHS, LR, warmup=10, warmup_kind="exponential", warmup_start=1e-5))
    assert found[0] == pytest.approx(1e-5)
    assert found[:11] == pytest.approx([1e-5 * (LR / 1e-5) ** (e / 10) for e in range(11)])
    assert set(found[10:]) == {LR}


def test_golden() -> None:
    """The lab's setting: 200 epochs at 0.2, 10 of warm-up from 1e-5, cosine to 1e-5; by hand."""
    f = cosine(EPOCHS, LR, eta=1e-5, warmup=10, warmup_start=1e-5)["lr"]
    golden = {0: 1e-5, 5: 0.100005, 10: 0.2, 105: 0.100005, 199.99: 1e-5}
    assert {e: LR * f(e / EPOCHS) for e in golden} == pytest.approx(golden, rel=1e-3)


def test_cosine_over_all_is_one_that_begins_late() -> None:
    """As torch's, made as long as the training and first stepped after the warm-up."""
    after = torchs.CosineAnnealingLR(optimizer(), T_max=300)
    torch_says = stepped(warm_then(after, 20, 1e-5), 300)
    found = rates(cosine(300, LR, warmup=20, warmup_start=1e-5, over="all"), 300)
    assert found == pytest.approx(torch_says, rel=1e-5)
    assert found[-1] == pytest.approx(LR * (1 + math.cos(math.pi * 279 / 300)) / 2)
    assert cosine(300, LR, over="all")["lr"](0.7) == cosine(300, LR)["lr"](0.7)


@pytest.mark.parametrize("name", WARMED)
@pytest.mark.parametrize("per_epoch", [1, 49, 97])
def test_warm_up_by_the_epoch(name: str, per_epoch: int) -> None:
    """Each step has the rate with which its epoch began; nothing changes after the warm-up."""
    make, steps = factory(name), EPOCHS * per_epoch
    given = {"warmup": 10, "warmup_kind": "exponential", "warmup_start": 1e-5}
    held, plain = make(EPOCHS, LR, **given, warmup_per="epoch")["lr"], make(EPOCHS, LR, **given)["lr"]
    first = [held(i / steps) for i in range(10 * per_epoch)]
    assert first == pytest.approx([plain(i // per_epoch / EPOCHS) for i in range(10 * per_epoch)])
    assert all(held(i / steps) == plain(i / steps) for i in range(10 * per_epoch, steps))


def test_bag_of_tricks_cosine() -> None:
    """He et al. 2018: (1 + cos(t pi/T))/2 times the rate, per batch."""
    f = cosine(3, 0.1)["lr"]
    assert [f(i / 999) for i in range(999)] == pytest.approx(
        [(1 + math.cos(i * math.pi / 999)) / 2 for i in range(999)]
    )


@pytest.mark.parametrize(
    ("epochs", "per_epoch"), list(itertools.product([3, 7, 10, 30, 61, 200, 300], [1, 3, 49, 97, 391]))
)
def test_milestone_acts_at_the_first_step_of_its_epoch(epochs: int, per_epoch: int) -> None:
    """Not one step late, whatever step/steps rounds to."""
    for m in {1, epochs // 3, epochs // 2, epochs - 1} - {0}:
        f, steps = multistep(epochs, LR, [m])["lr"], epochs * per_epoch
        assert f((m * per_epoch - 1) / steps) == 1
        assert f(m * per_epoch / steps) == pytest.approx(0.1)


@settings(max_examples=100, deadline=None)
@given(
    epochs=st.integers(2, 400),
    share=st.floats(0.01, 0.9),
    lr=st.floats(1e-4, 10),
    start=st.floats(1e-4, 1),
    kind=st.sampled_from(["linear", "exponential"]),
    name=st.sampled_from(WARMED),
)
def test_continuous_where_the_warm_up_ends(
    epochs: int, share: float, lr: float, start: float, kind: str, name: str
) -> None:
    """It rises from where it is told to, to where the schedule begins, which most do at the optimiser's rate."""
    warmup, top = share * epochs, lr / 25 if name == "one_cycle" else lr
    own = {"milestones": [(1 + share) / 2]} if name == "multistep" else {}
    own |= {"every": (1 + share) / 2} if name == "step" else {}
    f = factory(name)(epochs, lr, **own, warmup=warmup, warmup_kind=kind, warmup_start=0.99 * start * top)["lr"]
    assert lr * f(0.0) == pytest.approx(0.99 * start * top)
    assert lr * f(share * (1 - 1e-9)) == pytest.approx(top, rel=1e-5)
    assert lr * f(share * (1 + 1e-9)) == pytest.approx(top, rel=1e-5)
    half, s = f(share / 2) * lr, 0.99 * start * top
    begun = lr * f(share)
    assert half == pytest.approx((s + begun) / 2 if kind == "linear" else math.sqrt(s * begun))


def test_defaults_make_sense_at_any_budget() -> None:
    for epochs in (1, 2, 3, 20, 300):
        for name in options("sched"):
            f = factory(name)(epochs, 0.1)["lr"]
            assert name in ("one_cycle", "range") or f(0.0) == pytest.approx(1, abs=1e-5)
            assert (f(0.99) == f(0.0)) == (name == "constant"), "a dead schedule"


BAD_WARMUPS: list[tuple[dict[str, object], str]] = [
    ({"warmup": -1}, "warmup"),
    ({"warmup": float("nan")}, "warmup"),
    ({"warmup": 200}, "warmup"),
    ({"warmup_kind": "cubic"}, "warmup_kind"),
    ({"warmup": 5, "warmup_start": 0.3}, "warmup_start"),
    ({"warmup": 5, "warmup_start": -0.1}, "warmup_start"),
    ({"warmup": 5, "warmup_kind": "exponential"}, "warmup_start"),
    ({"warmup_per": "step"}, "warmup_per"),
    ({"lr": 0.0}, "lr"),
]


@pytest.mark.parametrize("name", WARMED)
@pytest.mark.parametrize(("arguments", "named"), BAD_WARMUPS)
def test_refuses_warm_ups(name: str, arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        factory(name)(**{"epochs": EPOCHS, "lr": LR, **arguments})


@pytest.mark.parametrize("eta", [-1e-5, 0.3, float("nan")])
def test_refuses_eta(eta: float) -> None:
    with pytest.raises(ValueError, match=r"^eta: "):
        cosine(EPOCHS, LR, eta=eta)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"milestones": [150, 100]}, "milestones"),
        ({"milestones": [100, 0.5]}, "milestones"),
        ({"milestones": [0, 100]}, "milestones"),
        ({"milestones": [100, 200]}, "milestones"),
        ({"milestones": [5], "warmup": 10}, "milestones"),
        ({"gamma": 0}, "gamma"),
        ({"gamma": float("inf")}, "gamma"),
    ],
)
def test_refuses_milestones(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        multistep(EPOCHS, LR, **arguments)  # type: ignore[arg-type]
