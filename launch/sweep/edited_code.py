"""Whether trials were trained by other code than today's, and which files of it differ.

Code is no part of an arm's id: a trial that is done stays done when the code is edited, so that is said wherever it
matters, with the command that sets such trials aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablation.source import reader
from ablation.store import code
from ablation.store.result import RESULT
from launch.compose.arm import Planned
from launch.compose.naming import few, grouped
from launch.compose.overrides import verb_command
from launch.sweep.earlier_arms import EarlierArms

_NAMED = 8  # arms that a line names


class Edits:
    """The code of the runs in a folder, beside that of today."""

    def __init__(self, out: Path) -> None:
        self._out, self._reader, self._earlier = out, reader.Reader(), EarlierArms(out)
        self._today: dict[str, code.Modules] = {}  # by the arm's id

    def of(self, id_: str, config: Mapping[str, Any], seeds: Iterable[int]) -> list[str]:
        """The files that differ for these seeds, those of teachers too: `in its teacher 0123abcd: aug/cutout.py`."""
        folders = {seed: self._out / id_ / f"seed-{seed}" for seed in seeds}
        ran = [modules for folder in folders.values() for modules in code.counted(folder)]
        if ran and id_ not in self._today:
            self._today[id_] = self._reader.of(config)
        files = code.edited(ran, self._today[id_]) if ran else []
        # of a student from before this was kept, nothing tells but the teacher as it is now
        taught = (code.taught(f) or code.teaches(self._out, config.get("teacher"), seed) for seed, f in folders.items())
        for teacher, modules in _by_teacher(taught).items():
            now = self._earlier.config(self._out / teacher)
            theirs = code.edited(modules, self._reader.of(now)) if now else []
            files += [f"in its teacher {teacher[:8]}: {file}" for file in theirs if file not in files]
        return files

    def of_done_seeds(self, planned: Planned) -> tuple[list[int], list[str], bool]:
        """An arm's seeds that are done and ran other code than today's, the files, and whether new seeds will run."""
        ended = {int(f.parent.name[5:]) for f in (self._out / planned.arm.id).glob(f"seed-[0-9]*/{RESULT}")}
        differ = {seed: files for seed in sorted(ended) if (files := self.of(planned.arm.id, planned.config, [seed]))}
        files = list(dict.fromkeys(file for files in differ.values() for file in files))
        return list(differ), files, not ended.issuperset(planned.seeds)


def notes(planned: Sequence[Planned]) -> list[str]:
    """What to know before these arms are run: seeds that are done, and keep what they measured, ran other code."""
    out = Path(planned[0].config["out"])
    edits = Edits(out)
    arms = list[tuple[str, str]]()  # ids with reasons
    for p in planned:
        seeds, files, more = edits.of_done_seeds(p)
        if seeds:
            which = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            both = ", and the mean with the new seeds would be of both" * more
            arms.append((p.arm.id, f"done before with {which}, but the {code.told(files)}{both}"))
    return [
        f"{few([id_[:8] for id_ in ids], _NAMED)}: {reason}; {_describe_redo(ids, out)}"
        for reason, ids in grouped(arms).items()
    ]


def mixed_seeds(folders: Mapping[str, Sequence[Path]], out: Path) -> list[str]:
    """Notes on arms whose seeds ran different code, so that their mean is of neither. `folders`: id -> its seeds'."""
    return [
        f"{id_[:8]}: its seeds ran different code, which differs in {code.named(files)}; their mean is of "
        f"different things; {_describe_redo([id_], out)}"
        for id_, seeds in folders.items()
        if (files := list(_differing_files(seeds)))
    ]


def redo_command(ids: Sequence[str], out: Path) -> str:
    """The line that sets these arms' trials aside."""
    return verb_command(f"redo {'--edited' if len(ids) > _NAMED else ' '.join(id_[:8] for id_ in ids)}", out)


def _differing_files(folders: Sequence[Path]) -> Iterator[str]:
    runs = [modules for folder in folders for modules in code.counted(folder)]
    if runs:
        yield from code.edited(runs[1:], runs[0])
    for teacher, modules in _by_teacher(map(code.taught, folders)).items():
        yield from (f"its teacher {teacher[:8]}: {file}" for file in code.edited(modules[1:], modules[0]))


def _by_teacher(trials: Iterable[code.Taught]) -> code.Taught:
    """Teacher's id -> the modules that its trials ran, of several students together."""
    together: code.Taught = {}
    for taught in trials:
        for teacher, modules in taught.items():
            together.setdefault(teacher, []).extend(modules)
    return together


def _describe_redo(ids: Sequence[str], out: Path) -> str:
    return f"`{redo_command(ids, out)}` sets {'it' if len(ids) == 1 else 'them'} aside"
