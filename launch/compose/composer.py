"""Many arms composed quickly, each exactly as `hydra.compose` would compose it alone.

Reading files and resolving the defaults list takes Hydra 0.1 s, and depends on the choices of groups only. So that is
done once for every distinct set of choices (composition_cache.py keeps it for other processes), and an arm's values are
applied to a copy, by Hydra's own code. The two private functions of Hydra that this needs are held to `hydra.compose`
by a property test.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra import compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from launch.compose import misread_numbers
from launch.compose.composition_cache import CompositionCache, Kept
from launch.compose.overrides import parsed

CONFIG = "config"  # conf/config.yaml
_ENVIRONMENT = re.compile(r"\$\{oc\.env:[^${}]*\}")
_READ_AGAIN = re.compile(r"\$\{|^\?\?\?$")


@dataclass(frozen=True)
class Composed:
    """A configuration without Hydra's own node, and which option each group of the defaults list has."""

    config: DictConfig
    choices: Mapping[str, Any]


class Composer:
    """Composes within the Hydra that is initialized now; `search` are `hydra.searchpath=` overrides, if any."""

    def __init__(self, search: Sequence[str] = ()) -> None:
        loader = GlobalHydra.instance().config_loader()
        assert isinstance(loader, ConfigLoaderImpl)
        self._search = list(search)
        _, self._files = loader._parse_overrides_and_create_caching_repo(CONFIG, self._search)
        misread_numbers.refuse(self._files.get_sources())
        self._cache = CompositionCache(self._files.get_sources())
        self._is_group = cache(self._files.group_exists)  # it looks for a folder each time
        self._composed: dict[tuple[str, ...], Kept] = {}
        # One moment for all arms, for an `out` with the time in one of the two forms that Hydra itself uses.
        self._now = OmegaConf.create(["${now:%Y-%m-%d}", "${now:%H-%M-%S}"])
        OmegaConf.to_container(self._now, resolve=True)

    def __call__(self, overrides: Sequence[str]) -> Composed:
        """Compose one arm; the result is the caller's to change.

        Raises:
            HydraException, OmegaConfBaseException, ValueError: as Hydra does.
        """
        structure = tuple(text for text in overrides if self._structural(parsed(text)))
        kept, choices = self._base(structure)
        config: DictConfig = pickle.loads(kept)
        OmegaConf.copy_cache(self._now, config)
        values = [parsed(text) for text in overrides if text not in structure]
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return Composed(config, choices)

    def _structural(self, override: Override) -> bool:
        """Whether Hydra has to compose anew: a choice of a group, Hydra's own, or a sweep, which it refuses."""
        if override.is_sweep_override() or override.is_hydra_override():
            return True
        return self._is_group(override.key_or_group) and not isinstance(override.value(), dict)

    def _base(self, structure: tuple[str, ...]) -> Kept:
        """The configuration of these choices, pickled (a copy is made five times as fast that way), and the choices."""
        if structure not in self._composed:
            kept, choices = self._cache.get(structure) or self._compose(structure)
            config = pickle.loads(kept)
            _ask_environment(config)
            self._composed[structure] = pickle.dumps(config), choices
        return self._composed[structure]

    def _compose(self, structure: tuple[str, ...]) -> Kept:
        config = compose(CONFIG, [*self._search, *structure], return_hydra_config=True)
        choices: Any = OmegaConf.to_container(config.hydra.runtime.choices)
        with open_dict(config):
            del config["hydra"]
        OmegaConf.clear_cache(config)  # of resolvers: what `${now:...}` was is not what it will be in other processes
        kept = pickle.dumps(config), choices
        self._cache.put(structure, kept)
        return kept


def _ask_environment(config: DictConfig) -> None:
    """Put what the environment says in the place of `${oc.env:NAME}`, which takes long to read, once for all arms."""
    texts: Any = OmegaConf.to_container(config)
    for key, text in texts.items():
        if isinstance(text, dict):
            _ask_environment(config[key])
        elif isinstance(text, str) and _ENVIRONMENT.fullmatch(text):
            with suppress(OmegaConfBaseException):  # without such a variable, arms that keep this are refused
                said = config[key]
                config[key] = text if _READ_AGAIN.search(str(said)) else said
