"""Which sweeps have asked for an arm: `<out>/<id>/sweeps/<sweep>.json`, with the name it goes by there and the seeds.

A trial is recorded in the first sweep that asked for it and is found by the names of all. What is uploaded to MLflow of
sweeps and names comes from these files. A command that is not in `arm.json` and gives the same arm is noted there too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock

from ablation.store.atomic import read_mapping, write_atomic
from ablation.store.result import RESULT
from ablation.track.trial_files import SWEEPS
from launch.compose.arm import Planned
from launch.compose.naming import short_names
from launch.sweep import arm_commands
from launch.sweep.arm_commands import NOTED
from launch.sweep.earlier_arms import EarlierArms

_LOCK = ".asked.lock"
_PATIENCE = 60.0  # seconds to wait for another shell that asks


def join(out: Path, sweep: str, seeds: Mapping[str, Iterable[int]], planned: Iterable[Planned] = ()) -> list[Path]:
    """Note that a sweep asks for these arms (id -> seeds), whose folders have been made; `planned` has their commands.

    All arms of the sweep get the names that tell them apart. Returns the folders of the seeds that were done before
    and whose runs in MLflow have to be brought up to date, see `launch.sweep.upload.upload_news`.
    """
    file = f"{quote(sweep, safe='')}.json"
    news, asked = [], {p.arm.id: arm_commands.of(p) for p in planned}
    with FileLock(out / _LOCK, timeout=_PATIENCE):
        noted = {path.parents[1].name: read_mapping(path) for path in out.glob(f"*/{SWEEPS}/{file}")}
        arms = EarlierArms(out)
        ids = dict.fromkeys([*noted, *_unnoted_arms(arms, sweep), *seeds])
        names = {id_: arm["name"] for id_ in ids if (arm := arms.arm(out / id_))}
        for id_, title in short_names(names)[1].items():
            old = noted.get(id_, {})
            now = {"name": title, "seeds": sorted({*old.get("seeds", []), *seeds.get(id_, [])})}
            other = old.get(NOTED, [])
            if id_ in asked:
                other = [*other, *arm_commands.unknown(asked[id_], arms.commands(out / id_))]
            whole = {**now, NOTED: other} if other else now
            if old != whole:
                (out / id_ / SWEEPS).mkdir(exist_ok=True)
                write_atomic(out / id_ / SWEEPS / file, json.dumps(whole).encode())
            if {key: old.get(key) for key in now} != now:
                news += [result.parent for result in (out / id_).glob(f"seed-*/{RESULT}")]
    return sorted(news)


def places(planned: Planned) -> list[str]:
    """The files and folders below `out` that whoever runs an arm writes to, or in, be they there or not."""
    inner = [SWEEPS, *(f"seed-{seed}" for seed in planned.seeds)]
    return [_LOCK, planned.arm.id, *(f"{planned.arm.id}/{name}" for name in inner)]


def short_names_of(out: Path) -> dict[str, str]:
    """A title for every arm under `out`, among those recorded in the same sweep."""
    by_sweep: dict[str, dict[str, str]] = {}
    for folder, arm in EarlierArms(out).all:
        by_sweep.setdefault(arm["sweep"], {})[folder.name] = arm["name"]
    return {id_: title for names in by_sweep.values() for id_, title in short_names(names)[1].items()}


def _unnoted_arms(arms: EarlierArms, sweep: str) -> list[str]:
    """The arms of a sweep that were run before it was noted which sweeps ask for an arm."""
    old = ((folder.name, arms.arm(folder)) for folder in arms.folders if not (folder / SWEEPS).exists())
    return sorted(id_ for id_, arm in old if arm and arm["sweep"] == sweep)
