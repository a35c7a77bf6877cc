"""Every average against the length of a run: at its defaults its result is the training's, not the initial weights'."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from tiny import SMALL_MODEL, Silent, config, options, run

from ablation.average import Average, Moment
from ablation.build import build
from ablation.errors import ConfigError
from ablation.loss._previous import Previous
from ablation.regularizer.ema import ema
from ablation.regularizer.lookahead import lookahead
from ablation.regularizer.swa import swa

# Steps and epochs: the README's first run, 10 epochs of it, and recipe=lab_resnet20 epochs=20 data.subset=0.2.
RUNS = [(20, 1437 // 128), (10, 1437 // 128), (20, 10000 // 256)]


@cache
def averages() -> dict[str, Average]:
    """At their defaults."""
    made = {name: build(config(f"regularizer={name}")["regularizer"][name], name) for name in options("regularizer")}
    return {name: one for name, one in made.items() if isinstance(one, Average)}


def kept(average: Average, steps: int, steps_per_epoch: int) -> float:
    """The share of the initial weights in what is evaluated: they are 1 here, and all later ones 0."""
    state = average.begin({"w": torch.ones(1, dtype=torch.float64)})
    for step in range(steps):
        average.update(state, {"w": torch.zeros(1, dtype=torch.float64)}, Moment(step, steps, steps_per_epoch))
    return average.weights(state)["w"].item()


@pytest.mark.parametrize(("epochs", "steps"), RUNS)
def test_at_its_defaults_nothing_is_left_of_the_initial_weights(epochs: int, steps: int) -> None:
    left = {name: kept(average, epochs * steps, steps) for name, average in averages().items()}
    assert max(left.values()) < 0.01, left
    assert not [note for average in averages().values() for note in average.check(epochs * steps, steps)]


def test_there_are_some() -> None:
    assert {"ema", "swa", "lookahead"} <= averages().keys()


def test_at_its_defaults_each_is_about_as_good_as_the_network_in_a_short_real_training(tmp_path: Path) -> None:
    chosen = ("regularizer=[ema,swa,lookahead]", "epochs=6", "batch_size=32", "data.subset=512", "sched=cosine")
    (result,) = run(
        config(*chosen, *SMALL_MODEL, "data.test_subset=200", "precision=fp32", "device=cpu", "track=[]"), tmp_path
    ).values()
    assert isinstance(result, dict)
    raw = result["raw_test_acc"]
    assert raw > 60
    assert {p: result[f"{p}test_acc"] >= raw - 6 for p in ("ema_", "swa_", "")} == {
        "ema_": True,
        "swa_": True,
        "": True,
    }


@pytest.mark.parametrize(
    ("average", "steps"),
    [(ema(0.999, warmup=False), 220), (ema(0.9, warmup=False), 22), (ema(0.01, warmup=False, reversed=True), 220),
     (ema(0.99, warmup=False), 1000), (ema(0.999), 2), (ema(0.99, warmup=False), 450), (ema(0.9), 22)],
)  # fmt: skip
def test_what_an_ema_says_is_left_is_what_is_left(average: Average, steps: int) -> None:
    left = kept(average, steps, steps)
    told = average.check(steps, steps)
    assert bool(told) == (left > 0.01)
    assert all(f" leaves {left:.0%} of the initial weights" in text for text in told)


def test_the_words_name_the_value_and_the_arithmetic() -> None:
    assert ema(0.999, warmup=False).check(220, 11) == [
        "decay: 0.999 leaves 80% of the initial weights in the average after all 220 steps (0.999^220): give a decay "
        "of at most 0.979, or warmup=true"
    ]
    assert 0.979**220 < 0.01 < 0.98**220, "so much is meant"
    assert swa(0.9).check(30, 10) == [
        "start: 0.9 of 3 epochs is the end of epoch 3, and every 1 epochs from there on gives one in all: the mean is "
        "of one epoch's weights; begin earlier, or train longer"
    ]
    assert swa(1.0).check(30, 10) == [], "asked for"
    assert lookahead(40).check(110, 11) == [
        "k: 40 steps go 2 times into the 110 of the training: the weights that are evaluated are those of step 80, 27% "
        "of it before the end; take a smaller k, or one that divides"
    ]
    assert lookahead(5).check(111, 11) == []
    assert ema(0.999, warmup=False, copy_back=True).check(220, 11) == [], "training goes on from it"


def test_an_average_that_never_acts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^k: 111 is more than the 110 steps of the training.* at most 110$"):
        lookahead(111).check(110, 11)
    with pytest.raises(ValueError, match=r"^teacher: epoch is the previous epoch's network"):
        Previous().check(11, 11)
    assert Previous().check(22, 11) == []


def test_a_run_says_it_before_its_first_step_or_is_refused(tmp_path: Path) -> None:
    tiny = (*SMALL_MODEL, "epochs=1", "batch_size=8", "data.subset=16", "data.test_subset=20", "track=[]", "device=cpu")
    slow = config(*tiny, "regularizer=ema", "regularizer.ema.warmup=false", "precision=fp32")
    watch = Silent()
    run(slow, tmp_path / "ema", watch)
    assert any(note.startswith("regularizer.ema.decay: 0.999 leaves 100%") for note in watch.notes)
    assert any("running statistics" in note and "to 81% their first ones after 2 steps" in note for note in watch.notes)
    with pytest.raises(ConfigError, match=r"^regularizer\.lookahead\.k: 5 is more than the 2 steps"):
        run(config(*tiny, "regularizer=lookahead", "precision=fp32"), tmp_path / "lookahead")
