"""The files that say what an arm is: `arm.json`, what was asked for; `config.yaml`, what its id is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ablation.errors import AblationError
from ablation.store.atomic import write_atomic

ARM, CONFIG = "arm.json", "config.yaml"
_KEPT = {"id": str, "name": str, "sweep": str, "groups": dict}  # what every version has written
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # those in C are several times as fast
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class DamagedArm(AblationError):
    """One of the files is damaged; the message says which, and how."""


def read_arm(folder: Path) -> dict[str, Any]:
    """What `arm.json` of an arm's folder holds.

    Raises:
        OSError: it is not there, or cannot be read.
        DamagedArm: it holds no JSON, or no arm.
    """
    arm = _read(folder / ARM)
    if wrong := [key for key, kind in _KEPT.items() if not isinstance(arm.get(key), kind)]:
        raise DamagedArm(f"{folder / ARM} is damaged (no {', '.join(wrong)})")
    return arm


def read_config(folder: Path) -> dict[str, Any]:
    """What `config.yaml` of an arm's folder holds.

    Raises:
        OSError: it is not there, or cannot be read.
        DamagedArm: it holds no YAML, or no configuration.
    """
    return _read(folder / CONFIG)


def write(folder: Path, arm: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write both, once: they are what the id was made from. A folder with the second is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ARM).exists():
        write_atomic(folder / ARM, (json.dumps(arm, indent=1) + "\n").encode())
    if not (folder / CONFIG).exists():
        write_atomic(folder / CONFIG, yaml.dump(dict(config), sort_keys=False, Dumper=_DUMPER).encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
        content = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=_LOADER)
    except (ValueError, yaml.YAMLError) as e:
        raise DamagedArm(f"{path} is damaged ({' '.join(str(e).split())})") from e
    if not isinstance(content, dict):
        raise DamagedArm(f"{path} is damaged: it is empty or no mapping")
    return content
