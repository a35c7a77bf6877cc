"""Notes on what of a configuration, or of several together, would mislead whoever reads the numbers.

They need no step of training: what they warn of can be seen in the configurations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import yaml

from launch.compose.arm import Planned, full_names, names_of
from launch.compose.naming import few, grouped
from launch.compose.paths import CONF

_NAMED = 3  # arms that are set beside each other

# Option -> the values at which it changes nothing, if all others are as in its YAML; tests/test_neutral.py trains each
# beside the baseline.
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


def config_notes(config: Mapping[str, Any]) -> list[str]:
    """Notes on one configuration, beside those of the program that has checked it."""
    return [*_part_of_the_test_set(config["data"]), *idle_options(config)]


def sweep_notes(planned: Sequence[Planned]) -> list[str]:
    """The notes of all arms, each once, with the arms that it is about; and what makes arms incomparable."""
    short = names_of(planned).short
    about = grouped((p.arm.id, note) for p in planned for note in p.notes)
    full = full_names(planned)

    def format_note(note: str, ids: Sequence[str]) -> str:
        """With the arms that it is about, unless it is about all, or says so."""
        plain = len(ids) == len(planned) or any(full[id_] in note for id_ in ids)
        return note if plain else f"{few([short[id_] for id_ in ids])}: {note}"

    return [*(format_note(note, ids) for note, ids in about.items()), *_other_test_images(planned, short)]


def idle_options(config: Mapping[str, Any]) -> list[str]:
    """A note on each option that is chosen and changes nothing, by the values that it has."""
    notes = []
    for path, off in OFF.items():
        group, name = path.split(".")
        if name in config[group] and config[group][name] == {**_file_values(group, name), **off}:
            notes.append(f"{path} changes nothing: with {switch_off(path)} it trains as without it")
    return notes


def switch_off(path: str) -> str:
    """What is typed to switch an option off: `aug.cutout.size=0`."""
    return " ".join(f"{path}.{key}={value}" for key, value in OFF[path].items())


def _part_of_the_test_set(data: Mapping[str, Any]) -> list[str]:
    amount = data.get("test_subset")
    if amount is None:
        return []
    first = str(amount).startswith("first:")
    share, how = str(amount).removeprefix("first:"), "the first in file order" if first else "drawn from each class"
    much = f"{share} images" if share.isdigit() else f"{100 * float(share):g} % of the images"
    return [f"test accuracy is on a part of the test set only: {much}, {how} (data.test_subset={amount})"]


@cache
def _file_values(group: str, name: str) -> dict[str, Any]:
    node: dict[str, Any] = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())[name]
    return node


def _other_test_images(planned: Sequence[Planned], short: Mapping[str, str]) -> list[str]:
    """Notes on arms of one data set with different test images; that two data sets do not compare is plain."""
    chosen: dict[str, dict[str, Planned]] = {}
    for p in planned:
        data = p.config["data"]
        source = json.dumps([data["_target_"], data.get("content") or data.get("path")])
        chosen.setdefault(source, {}).setdefault(json.dumps(_images(data)), p)
    return [
        f"{' and '.join([short[p.arm.id] for p in arms.values()][:_NAMED])} are measured on different test images "
        "(data.test_subset, data.split_seed): their accuracies do not compare"
        for arms in chosen.values()
        if len(arms) > 1
    ]


def _images(data: Mapping[str, Any]) -> list[Any]:
    """What chooses the test images: the seed of the split only if some are drawn."""
    amount = data.get("test_subset")
    drawn = amount is not None and not str(amount).startswith("first:")
    return [amount, data.get("split_seed") if drawn else None]
