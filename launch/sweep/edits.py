"""Which files of the code differ from what a run's trials were trained by, and whether its seeds ran the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablation.source import reader
from ablation.store import code
from ablation.store.result import RESULT
from launch.compose.arm import Planned
from launch.compose.overrides import verb_command
from launch.sweep.earlier_arms import EarlierArms

_NAMED = 8  # arms that a line names


class Edits:
    """The code of the runs in a folder, beside that of today."""

    def __init__(self, out: Path) -> None:
        self._out, self._reader, self._past = out, reader.Reader(), EarlierArms(out)
        self._today: dict[str, code.Modules] = {}  # by the arm's id

    def of(self, id_: str, config: Mapping[str, Any], seeds: Iterable[int]) -> list[str]:
        """The files that differ for these seeds, those of teachers too: `in its teacher 0123abcd: aug/cutout.py`."""
        folders = {seed: self._out / id_ / f"seed-{seed}" for seed in seeds}
        if id_ not in self._today:
            self._today[id_] = self._reader.of(config)
        found = code.edited((m for f in folders.values() for m in code.counted(f)), self._today[id_])
        # of a student from before this was kept, nothing tells but the teacher as it is now
        taught = (code.taught(f) or code.teaches(self._out, config.get("teacher"), seed) for seed, f in folders.items())
        for teacher, modules in _by_teacher(taught).items():
            now = self._past.config(self._out / teacher)
            files = code.edited(modules, self._reader.of(now)) if now else []
            found += [f"in its teacher {teacher[:8]}: {file}" for file in files if file not in found]
        return found

    def done(self, planned: Planned) -> tuple[list[int], list[str], bool]:
        """An arm's seeds that are done and ran other code than today's, the files, and whether new seeds will run."""
        ended = {int(f.parent.name[5:]) for f in (self._out / planned.arm.id).glob(f"seed-[0-9]*/{RESULT}")}
        differ = {seed: files for seed in sorted(ended) if (files := self.of(planned.arm.id, planned.config, [seed]))}
        files = list(dict.fromkeys(file for files in differ.values() for file in files))
        return list(differ), files, not ended.issuperset(planned.seeds)


def notes(planned: Sequence[Planned]) -> list[str]:
    """What to know before these arms are run: seeds that are done, and keep what they measured, ran other code."""
    out = Path(planned[0].config["out"])
    edits = Edits(out)
    arms: dict[str, list[str]] = {}  # what is said -> of which arms
    for p in planned:
        seeds, files, more = edits.done(p)
        if seeds:
            which = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            both = ", and the mean with the new seeds would be of both" * more
            arms.setdefault(f"done before, {which}: {code.told(files)}{both}", []).append(p.arm.id)
    return [f"{_named(ids)} {told}; {_aside(ids, out)}" for told, ids in arms.items()]


def mixed(folders: Mapping[str, Sequence[Path]], out: Path) -> list[str]:
    """Of the arms whose seeds (their folders, by the arm's id) ran different code: their mean is of neither."""
    return [
        f"{id_[:8]}: its seeds ran different code, which differs in {code.named(files)}; their mean is of "
        f"different things; {_aside([id_], out)}"
        for id_, seeds in folders.items()
        if (files := list(_differing(seeds)))
    ]


def again(ids: Sequence[str], out: Path) -> str:
    """The line that sets these arms' trials aside."""
    return verb_command(f"redo {'--edited' if len(ids) > _NAMED else ' '.join(id_[:8] for id_ in ids)}", out)


def _differing(folders: Sequence[Path]) -> Iterator[str]:
    runs = [modules for folder in folders for modules in code.counted(folder)]
    if runs:
        yield from code.edited(runs[1:], runs[0])
    for teacher, modules in _by_teacher(map(code.taught, folders)).items():
        yield from (f"its teacher {teacher[:8]}: {file}" for file in code.edited(modules[1:], modules[0]))


def _by_teacher(found: Iterable[code.Taught]) -> code.Taught:
    """What several trials' teachers ran, together."""
    together: code.Taught = {}
    for taught in found:
        for teacher, modules in taught.items():
            together.setdefault(teacher, []).extend(modules)
    return together


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _NAMED} more arms" if len(ids) > _NAMED else ""
    return ", ".join(id_[:8] for id_ in ids[:_NAMED]) + more


def _aside(ids: Sequence[str], out: Path) -> str:
    return f"`{again(ids, out)}` sets {'it' if len(ids) == 1 else 'them'} aside"
