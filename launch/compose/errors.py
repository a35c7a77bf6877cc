"""Errors in words: what people read if a name, a key or a whole row of a table is wrong, and what was meant perhaps.

Hydra names the key or file that it did not find. Here the nearest valid names are found, among the groups, options and
keys that the command line chooses, those on the user's own search path too.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from ablation.build import near
from ablation.config import GROUPS, MANY, SCALARS
from ablation.errors import Stopped
from ablation.store.file_errors import in_words
from ablation.store.identity import flatten
from launch.compose import sbatch_options
from launch.compose.hydra_version import running
from launch.compose.overrides import parsed, search_paths, suggest_override
from launch.compose.paths import CONF

_OPTIONS = (*GROUPS, *MANY, "recipe")
ALL_GROUPS = (*_OPTIONS, "table")
OF_HYDRA = ("hydra/launcher", "hydra/sweeper")
_OUR_PACKAGES = ("ablation", "launch", "results")
_AXES = "hydra.sweeper.params"


def print_error(e: Exception) -> None:
    """Print what went wrong, on standard error."""
    print(f"error: {message(e)}", file=sys.stderr)


def print_stopped(e: Stopped) -> int:
    """Print where it stopped; returns the exit code of an interrupted program."""
    print(e, file=sys.stderr)
    return 130


def message(e: Exception, overrides: Sequence[str] | None = None) -> str:
    """The error in one line, with the nearest valid names if a name was wrong in these overrides (or those typed)."""
    typed = list(sys.argv[1:] if overrides is None else overrides)
    if isinstance(e, MissingConfigException) and "/" in str(e.missing_cfg_file):
        group, option = _missing(str(e.missing_cfg_file))
        return f"{group}={option}: no such option; {near(option, offered(group, typed))}"
    if isinstance(e, OverrideParseException):
        return f"{e.override}: is not an override: Hydra cannot read it; {suggest_override(str(e.override))}"
    if isinstance(e, OSError):
        return in_words(e)
    if isinstance(e, MarkedYAMLError) and e.problem_mark:
        return f"{e.problem_mark.name}:{e.problem_mark.line + 1}: is not YAML ({e.problem}); correct the file"
    if unknown := re.search(r"Could not override '([^']+)'", str(e)):
        return _unknown_key(unknown[1], typed)
    if raised_by_hydra(e):
        return f"{_blamed(typed)}: Hydra cannot use this ({str(e).strip().partition(chr(10))[0]})"
    if isinstance(e, HydraException | OmegaConfBaseException) and not any(_names(str(e), text) for text in typed):
        return f"{_blamed(typed)}: {e}"
    return f"{e}; {way}" if (way := _how_to_import(e)) else str(e)


def _how_to_import(e: Exception) -> str:
    """What makes a module of the user's own importable that a factory is in, or that this imports."""
    lacking, target = e.__cause__, re.search(r"_target_=([\w.]+)\.\w+:", str(e))
    if not isinstance(lacking, ModuleNotFoundError) or not lacking.name or not target:
        return ""
    package, missing = target[1].partition(".")[0], lacking.name.partition(".")[0]
    if missing in _OUR_PACKAGES:
        return ""
    if lacking.name == package:
        return f"put the folder that {package} is in on PYTHONPATH, as in PYTHONPATH=~/mine, or install it"
    if missing == package:
        found = getattr(sys.modules.get(package), "__file__", None)
        return f"{package} is that of {found or 'several folders'}; of another one put the folder on PYTHONPATH"
    return f"{target[1]} imports it: install it, or put the folder that it is in on PYTHONPATH"


def raised_by_hydra(e: Exception) -> bool:
    """Whether Hydra ended in an error that it does not expect, as of `hydra.launcher=5` and `hydra=null`."""
    if isinstance(e, HydraException | OmegaConfBaseException):
        return False
    names, trace = list[str](), e.__traceback__
    while trace is not None:
        names.append(f"{trace.tb_frame.f_globals.get('__name__')}.")
        trace = trace.tb_next
    # A value in a file that contains itself (`&x [*x]`) ends anywhere.
    where = names if isinstance(e, RecursionError) else names[-1:]
    return any(name.startswith(("hydra.", "omegaconf.", "yaml.")) for name in where)


def _names(said: str, override: str) -> bool:
    """Whether an error names the key of this override."""
    key = override.partition("=")[0].strip("+~ ")
    return bool(key) and re.search(rf"(?<![\w.]){re.escape(key)}(?![\w.])", said) is not None


def _blamed(overrides: Sequence[str]) -> str:
    """The overrides that an error of Hydra is most likely about if it names none."""
    asks = [text for text in overrides if "${" in text]
    of_hydra = [text for text in overrides if re.match(r"[+~]*hydra\b", text)]
    return " ".join(asks or of_hydra or overrides) or "hydra"


def plural(number: int, noun: str) -> str:
    """`1 arm`, `3 arms`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def short_reason(error: Exception, overrides: Sequence[str]) -> str:
    """What a row of a table asks for that does not exist, or not yet: without the names that may have been meant."""
    key = re.search(r"Could not override '([^']+)'", str(error))
    if key:
        return f"{key[1]}: no such key"
    return re.split("; (?:did you mean|valid:)", message(error, overrides))[0]


def options(group: str) -> list[str]:
    """The names of a group's options, with their folder if they lie deeper: mixup, lab/postact_mixup."""
    folder = CONF / group
    names = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.yaml"))
    return sorted(name.as_posix() for name in names if not name.name.startswith("_"))


def offered(group: str, overrides: Sequence[str]) -> set[str]:
    """The names of a group's options, with those on the search path that these overrides give."""
    return {*options(group), *_users_options(group, overrides)}


def absent_options(overrides: Sequence[str]) -> list[str]:
    """Every option that these overrides choose, for a teacher too, and that has no file: "model=lenet: no such option".

    One look at the files, where composing takes Hydra tens of milliseconds and tells the first only.
    """
    chosen = [pair for text in overrides for pair in _chosen(parsed(text).key_or_group, parsed(text).value())]
    missing = [pair for pair in chosen if not (CONF / pair[0] / f"{pair[1]}.yaml").exists()]
    return list(dict.fromkeys(f"{group}={option}: no such option" for group, option in missing))


def _missing(path: str) -> tuple[str, str]:
    """Group and option of a file that is not there. Our groups are single words, and their options may have folders."""
    group, _, option = path.partition("/")
    if group in ALL_GROUPS:
        return group, option
    group, _, option = path.rpartition("/")
    return group, option


def _unknown_key(key: str, overrides: Sequence[str]) -> str:
    """What a wrong key may have meant: a key beside it if its group exists, else a group or a top-level key."""
    if key.startswith(_AXES):
        return f"{key}: axes are new keys, which ++ adds: '++{_AXES}={{optim.lr: \"0.1,0.2\"}}'"
    keys = _keys(overrides)
    if meant := _of_another_launcher(key, keys, overrides):
        return f"{key}: no such key; {meant}"
    text, key, inside = _find_typed(key, keys, overrides)
    head, _, rest = key.partition(".")
    option = rest.partition(".")[0]
    parent = key.rpartition(".")[0]
    chosen = any(k.startswith(f"{head}.{option}.") for k in keys)
    if head in MANY and not chosen and option in offered(head, overrides):
        return f"{key}: {option} is not chosen; add {head}={option}"
    if f"{parent}._target_" in inside or f"{key}._target_" in inside:
        return f"{key}: is new, and + adds what is new: {shlex.quote(f'+{text}')}"
    if head in MANY and not chosen and option:
        return f"{key}: {option} is no option; {near(option, offered(head, overrides))}"
    if any(k.startswith(f"{key}.") for k in keys) or ("." in parent and inside and f"{parent}._target_" not in keys):
        place = key if any(k.startswith(f"{key}.") for k in keys) else parent
        return f"{place}: has no such entry; one is added by ++{place}={{name: value}}"
    for other in get_close_matches(head, ALL_GROUPS) if rest and head not in ALL_GROUPS else []:
        if f"{other}.{rest}" in keys:
            return f"{key}: no such key; did you mean {other}.{rest}?"
    group = key.rpartition(".")[0] if head == "hydra" else head
    beside = [k for k in keys if k.startswith(f"{group}.") and not k.endswith("_target_")]
    return f"{key}: no such key; {near(key, beside if rest and beside else [*ALL_GROUPS, *SCALARS])}"


def _of_another_launcher(key: str, keys: Sequence[str], overrides: Sequence[str]) -> str:
    """What an option of sbatch or of submitit's launcher is called in ours."""
    typed = next((text for text in overrides if text.startswith(f"{key}=")), "")
    if not typed.startswith("hydra.launcher."):
        return ""
    return sbatch_options.suggest(key, parsed(typed).value(), slurm="hydra.launcher.resources.partition" in keys)


def _find_typed(key: str, keys: Sequence[str], overrides: Sequence[str]) -> tuple[str, str, list[str]]:
    """The override that set a wrong key, the key that is wrong, and all keys that were typed for what it is in.

    Of a mapping, `optim={momentm: 1}`, Hydra names the key that was given it, which may be right.
    """
    targets = [text.partition("=")[0].lstrip("+") for text in overrides if "._target_=" in text]
    found = next((text for text in overrides if text.startswith(f"{key}=")), key)
    for text in overrides:
        value = parsed(text).value() if text.startswith(f"{key}={{") else None
        if isinstance(value, dict) and (wrong := _absent(value, key, keys)):
            return text, wrong, [*targets, *flatten(value, f"{key}.")]
    return found, key, targets


def _absent(node: Mapping[str, Any], path: str, keys: Sequence[str]) -> str | None:
    """The first key of a mapping that a configuration with these keys has not."""
    for name, value in node.items():
        key = f"{path}.{name}"
        if not any(k == key or k.startswith(f"{key}.") for k in keys):
            return key
        if isinstance(value, Mapping) and (found := _absent(value, key, keys)):
            return found
    return None


def _users_options(group: str, overrides: Sequence[str]) -> list[str]:
    """The names of a group's options on the user's own search path."""
    search = search_paths(overrides)
    if not search:
        return []
    with running():
        return list(GlobalHydra.instance().config_loader().get_group_options(group, None, "config", search))


def _keys(overrides: Sequence[str]) -> list[str]:
    """The dotted keys of the configuration with the options that these overrides choose, where the user has them.

    Of several mistakes the choices may hold another: then of the choices that can be composed, one by one.
    """
    search = search_paths(overrides)
    chosen = [text for text in overrides if re.match(rf"({'|'.join((*ALL_GROUPS, *OF_HYDRA))})=", text)]
    with running():
        kept: list[str] = []
        for text in chosen:
            if _composed([*search, *kept, text]) is not None:
                kept.append(text)
        config = _composed([*search, *kept])
    return list(flatten(config or {}))


def _composed(overrides: list[str]) -> Any:
    """The whole configuration as plain values; None if it cannot be composed."""
    try:
        return OmegaConf.to_container(compose("config", overrides, return_hydra_config=True), resolve=False)
    except (HydraException, OmegaConfBaseException, ValueError):
        return None


def _chosen(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Group and option of every choice that one override makes."""
    if key == "teacher" and isinstance(value, str):
        words = [word for word in shlex.split(value) if "=" in word]
        yield from (pair for word in words for pair in _chosen(parsed(word).key_or_group, parsed(word).value()))
    if key in _OPTIONS:
        options = value if isinstance(value, list) else [value]
        yield from ((key, str(option)) for option in options if isinstance(option, str | int))
