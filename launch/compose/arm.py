"""An arm: one configuration of a sweep with all of its seeds, made of what Hydra composed.

On the way a configuration becomes plain values, and loses what a recipe set for an option that was then replaced. What
is left has an id, a name, and a folder that says what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablation.config import GROUPS, MANY, seeds
from ablation.errors import ConfigError
from ablation.store import arm_files
from ablation.store.identity import PATH, canonical, flatten, identify, theirs
from ablation.store.result import RESULT
from ablation.trial import checked
from launch.compose.naming import ArmNames, full_name, rules, short_names
from launch.compose.overrides import Overrides, parsed
from launch.compose.paths import CONF

Config = dict[str, Any]
_MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Arm:
    """One configuration of a sweep, all of its seeds."""

    id: str
    name: str  # what the command line chose, in one order, without where and how often it is run
    sweep: str
    groups: dict[str, str]  # group -> the chosen option, or a factory that was put in its place; several joined by "+"
    params: dict[str, Any]  # dotted keys whose values differ from the defaults
    overrides: list[str]
    command: str

    def write(self, folder: Path, config: Mapping[str, Any]) -> None:
        """`arm.json` and `config.yaml`, once."""
        arm_files.write(folder, asdict(self), config)


@dataclass(frozen=True)
class Work:
    """What a worker is given at once: one trial, or all seeds of an arm that trains them fused."""

    id: str
    seeds: tuple[int, ...]

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.id}/seed-{'+'.join(map(str, self.seeds))}"


@dataclass(frozen=True)
class Planned:
    """One arm of a sweep: composed, settled and checked."""

    arm: Arm
    config: Config
    notes: tuple[str, ...] = ()
    teacher: str | None = None  # the id of the arm whose trial of the same seed must be done first
    also: Mapping[str, Overrides] = field(default_factory=dict)  # by the names, other rows that give this arm

    @property
    def seeds(self) -> tuple[int, ...]:
        """The replicates asked for."""
        return seeds(self.config["seeds"])

    @property
    def works(self) -> list[Work]:
        """One a seed, or one for all seeds if they are fused."""
        groups = [self.seeds] if self.config["fuse"] else [(seed,) for seed in self.seeds]
        return [Work(self.arm.id, group) for group in groups]


def full_names(planned: Iterable[Planned]) -> dict[str, str]:
    """The full names of these arms by id."""
    return {p.arm.id: p.arm.name for p in planned}


def names_of(planned: Iterable[Planned]) -> ArmNames:
    """What people call these arms beside each other."""
    return short_names(full_names(planned))


def resolved(config: DictConfig) -> Config:
    """Resolved plain values, without Hydra's own node.

    Raises:
        ConfigError: a missing value, a broken interpolation, or binary data.
    """
    try:
        resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as e:
        raise ConfigError(f"{e.full_key}: {str(e).splitlines()[0]}") from e
    plain = {k: v for k, v in resolved.items() if k != "hydra"}
    _refuse_binary(plain, "")
    return plain


def _refuse_binary(value: Any, path: str) -> None:
    """`!!binary` is the one kind of YAML's that Hydra passes on and JSON cannot hold."""
    if isinstance(value, bytes):
        raise ConfigError(
            f"{path[1:]}={value!r}: is binary; give text, a number, true, false, null, a list or a mapping"
        )
    if isinstance(value, Mapping | list):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(inner, Mapping | list | bytes):
                _refuse_binary(inner, f"{path}.{key}")


def settle(config: Config, overrides: Sequence[str]) -> tuple[Config, list[str]]:
    """Drop what a recipe set for an option that was then replaced; the notes say what was dropped.

    A recipe sets `sched.eta` for its cosine; with `sched=multistep` on the command line that key has no reader. What
    the command line itself sets is never dropped: building the option refuses it. Without a teacher, a trial's own
    draws are the seed's.

    Raises:
        ConfigError: a group or an option is missing, or no mapping.
    """
    _check_shape(config)
    typed = _typed_keys(overrides)
    notes, settled = [], dict(config)
    if config["teacher"] is None and config["draws"] == "own":
        settled["draws"] = "seed"
    for group in GROUPS:
        accepted = checked.arguments(config[group], group)
        keep = {k: v for k, v in config[group].items() if k == "_target_" or k in accepted or f"{group}.{k}" in typed}
        notes += [f"{group}.{k}={config[group][k]}" for k in config[group] if k not in keep]
        settled[group] = keep
    for group in MANY:
        keep = {n: node for n, node in config[group].items() if "_target_" in node or f"{group}.{n}" in typed}
        notes += [f"{group}.{n}" for n in config[group] if n not in keep]
        settled[group] = keep
    left_out = [f"left out, because the option it was meant for is not chosen: {n}" for n in notes]
    return settled, notes_on_repeated_keys([parsed(text) for text in overrides]) + left_out


def make_arm(
    config: Config, defaults: Mapping[str, Any], choices: Mapping[str, Any], overrides: Sequence[str], command: str
) -> Arm:
    """The arm of a settled configuration; `defaults` is the canonical one of no overrides, `choices` Hydra's."""
    own = canonical(config)
    changed = {k: v for k, v in own.items() if defaults.get(k) != v and not k.endswith("_target_")}
    if config["data"].get("path"):  # for people: the images are known by their content
        changed[PATH] = config["data"]["path"]
    return Arm(
        id=identify(config, rules()),
        name=full_name(overrides, theirs(config)),
        sweep=str(config["sweep"]),
        groups=_labels(config, choices, overrides),
        params={k: v for k, v in changed.items() if k not in MANY},
        overrides=list(overrides),
        command=command,
    )


def notes_on_repeated_keys(overrides: Sequence[Override]) -> list[str]:
    """A note on each override that does nothing: of two values for one key the later one counts, as in Hydra."""
    last = {override.get_key_element(): override for override in overrides}
    notes = []
    for override in overrides:
        key, text = override.get_key_element(), override.input_line
        if override is not last[key] and text != last[key].input_line:
            both = f"; for both options give {key}=[NAME,NAME]" if key in MANY else ""
            notes.append(f"{text} does nothing: {last[key].input_line} stands later and counts{both}")
    return notes


def has_begun(seed_folder: Path) -> bool:
    """Whether the trial of this folder was ever begun."""
    return any(seed_folder.glob("attempt-*")) or (seed_folder / RESULT).exists()


def has_run(folder: Path) -> bool:
    """Whether a trial of this arm was ever begun: folders are written when a sweep is submitted."""
    return any(map(has_begun, folder.glob("seed-*")))


@cache
def _shipped(group: str, option: str) -> bool:
    return (CONF / group / f"{option}.yaml").is_file()


def _check_shape(config: Config) -> None:
    number = config.get("seeds")
    if type(number) is int and number > _MOST_SEEDS:
        raise ConfigError(
            f"seeds={number}: asks for so many seeds, and {_MOST_SEEDS} is the most; the seed of this number is "
            f"'seeds=[{number}]'"
        )
    for group in (*GROUPS, *MANY):
        if not isinstance(config.get(group), Mapping):
            way = f"{group}=NAME, one of conf/{group}/"
            raise ConfigError(f"{group}={config.get(group)}: is no option; give {way}")
    for group in MANY:
        for n, node in config[group].items():
            if not isinstance(node, Mapping):
                raise ConfigError(
                    f"{group}.{n}={node}: is no option; in a file conf/{group}/NAME.yaml the lines of an option stand, "
                    f"indented, under NAME:, and on the command line it is +{group}.NAME={{_target_: module.function}}"
                )


def _typed_keys(overrides: Sequence[str]) -> set[str]:
    """All keys that the command line sets a value of, be it as `a.b.c=1`, `a.b={c: 1}` or `a={b: {c: 1}}`."""
    keys = set()
    for key, value in ((o.key_or_group, o.value()) for o in map(parsed, overrides)):
        if isinstance(value, dict):
            keys |= {key, *(f"{key}.{inner}" for inner in (*value, *flatten(value)))}
        elif "." in key:  # the others are scalars, which are always kept, or choose an option, which sets nothing
            keys.add(key)
    return keys | {".".join(key.split(".")[:n]) for key in keys for n in range(2, key.count(".") + 1)}


def _labels(config: Config, choices: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, str]:
    """What each group has: options by name, or by the factory that was put in the place of the option's own one."""
    typed, users = _typed_keys(overrides), theirs(config)

    def label(group: str, option: str, key: str, node: Mapping[str, Any]) -> str:
        shipped = _shipped(group, option)
        foreign = shipped and f"{key}.".startswith(users)  # a recipe may have put it there
        other = f"{key}._target_" in typed and (shipped or key == group)  # else `+aug.mine._target_=` makes that name
        return str(node["_target_"]) if foreign or other else option

    one = {g: label(g, str(choices.get(g)), g, config[g]) for g in GROUPS}
    many = {g: [label(g, n, f"{g}.{n}", node) for n, node in config[g].items()] for g in MANY if g != "track"}
    return one | {g: "+".join(names) or "none" for g, names in many.items()}
