"""Options that are chosen and change nothing, by the values that they have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from launch.compose.paths import ROOT

# Where all other arguments are as in the option's YAML; tests/test_neutral.py trains each beside the baseline.
OFF: dict[str, dict[str, float]] = {
    "aug.batch_augmentation": {"times": 1},
    "aug.channel_drop": {"most": 0},
    "aug.cutmix": {"p": 0},
    "aug.cutout": {"size": 0},
    "aug.gaussian_blur": {"p": 0},
    "aug.gaussian_noise": {"p": 0},
    "aug.mixup": {"alpha": 0},
    "aug.mixup_or_cutmix": {"p": 0},
    "aug.pca_lighting": {"sigma": 0},
    "aug.random_erasing": {"p": 0},
    "aug.ricap": {"beta": 0},
    "regularizer.confidence_penalty": {"beta": 0},
    "regularizer.drop_block": {"p": 0},
    "regularizer.dropout": {"p": 0},
    "regularizer.ema": {"decay": 0},
    "regularizer.lookahead": {"k": 1, "alpha": 1},
    "regularizer.manifold_mixup": {"alpha": 0},
    "regularizer.sam": {"rho": 0},
    "regularizer.shake_drop": {"last_survival": 1},
    "regularizer.stochastic_depth": {"last_survival": 1},
}


def idle(config: Mapping[str, Any]) -> list[str]:
    """A note on each option that changes nothing."""
    found = []
    for path, off in OFF.items():
        group, name = path.split(".")
        if name in config[group] and config[group][name] == {**_listed(group, name), **off}:
            found.append(f"{path} changes nothing: with {said(path)} it trains as without it")
    return found


def said(path: str) -> str:
    """As it is typed: `aug.cutout.size=0`."""
    return " ".join(f"{path}.{key}={value}" for key, value in OFF[path].items())


@cache
def _listed(group: str, name: str) -> dict[str, Any]:
    node: dict[str, Any] = yaml.safe_load((ROOT / "conf" / group / f"{name}.yaml").read_text())[name]
    return node
