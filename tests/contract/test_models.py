"""A model of a user's own, and what regularizers make of one, is tried: a large one in its first pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import Linear, modelled, refusal, used
from tiny import run
from torch import Tensor, nn

from ablation.contract import passing
from ablation.errors import AblationError, ConfigError
from ablation.trial.parts import parts
from ablation.types import Noise, Team, Wrap

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
