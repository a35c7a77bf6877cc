"""What stands beside a table: the images it was measured on, and what a reader should be warned of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.tables.definition import Line
from results.tables.trials import Trials, counted

_MACHINE = {"device": "devices", "torch": "versions of torch"}


def images(lines: Sequence[Line], trials: Sequence[Trials]) -> tuple[str, ...]:
    """What each distinct set of images is, with the rows that it is for unless these are most."""
    found: dict[str, list[str]] = {}
    for line, each in zip(lines, trials, strict=True):
        if each.images:
            found.setdefault(_sentence(each), []).append(line.label)
    common = max(found, key=lambda sentence: len(found[sentence]), default="")
    return tuple(
        sentence if sentence == common else f"{sentence} (rows: {', '.join(labels)})"
        for sentence, labels in found.items()
    )


def _sentence(trials: Trials) -> str:
    own = trials.images
    name, test, pixels = (own.get(word, "unknown") for word in ("name", "test", "pixels"))
    return f"{name}, tested on {counted(test)}, fingerprint {pixels}"


def warnings(lines: Sequence[Line], trials: Sequence[Trials]) -> tuple[str, ...]:
    """What is no reason to refuse a mean or a comparison, but to look twice."""
    told = []
    for word, words in _MACHINE.items():
        found = dict.fromkeys(text for each in trials for text in each.machine.get(word, ()))
        if len(found) > 1:
            told.append(f"the runs used {len(found)} {words}: {', '.join(found)}")
    told += _versions(lines, trials)
    left = [f"{line.label} {_list(each.unasked)}" for line, each in zip(lines, trials, strict=True) if each.unasked]
    if left:
        told.append(f"finished trials of seeds that were not asked for are not used: {', '.join(left)}")
    return tuple(told)


def _versions(lines: Sequence[Line], trials: Sequence[Trials]) -> list[str]:
    """Parts that some lines have in common, such as the loop or the model, and that were other code in some runs."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for line, each in zip(lines, trials, strict=True):
        for part, digests in each.code.items():
            same = str(line.config.get(f"{part}._target_", line.config.get(part)))
            for digest in digests:
                found.setdefault((part, same), {}).setdefault(digest, []).append(line.label)
    return [
        f"the runs used {len(versions)} versions of the code of {part}: {_by_version(versions)}"
        for (part, _), versions in found.items()
        if len(versions) > 1
    ]


def _by_version(versions: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{digest} in {', '.join(dict.fromkeys(labels))}" for digest, labels in versions.items())


def _list(seeds: Sequence[int]) -> str:
    return f"(seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))})"
