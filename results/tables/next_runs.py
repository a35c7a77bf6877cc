"""What to run next: the same command for what is missing, and with more seeds for what is undecided.

Looking again is a second chance, which tables that are undecided say below: of 20,000 simulated differences of none,
5.0 % are significant with 3 seeds, and 9.5 % with 3 or, after one follow-up of the number offered, with that one.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence

from results.tables.definition import Definition, Line
from results.tables.trials import Trials

_MOST = 50  # seeds an arm: nobody runs more, and a difference that needs them is hardly worth it
_SKIP = "hydra.sweeper.incomplete="  # else lines that cannot be composed keep the others from being run
_OF_LAUNCHERS = ("hydra/launcher=", "hydra.launcher.", "--json")


def commands(
    definition: Definition, trials: Sequence[Trials], needed: Mapping[str, int], finished: Collection[tuple[str, int]]
) -> tuple[str, ...]:
    """Lines for a shell, what they are for behind a `#`.

    `needed` has the number of pairs for each undecided label that has fewer, `finished` the trials, (id, seed), that
    need not run.
    """
    words = [word for word in shlex.split(definition.command) if not word.startswith(_OF_LAUNCHERS)]
    if any(line.id is None for line in definition.lines) and not any(word.startswith(_SKIP) for word in words):
        words.append(f"{_SKIP}skip")
    found = []
    done = set(finished)
    idle = {
        (line.id, seed)
        for line, each in zip(definition.lines, trials, strict=True)
        for seed, why in each.waiting.items()
        if why != "running" and (line.id, seed) not in done
    }
    if idle:
        found.append(f"{shlex.join(words)}  # for {_trials(len(idle))} without a result")
    asked = sorted({seed for line in definition.lines for seed in line.seeds})
    wanted = {label: n for label, n in needed.items() if n <= _MOST}
    seeds = _more(asked, max(wanted.values(), default=0))
    if any(_new(line, seeds) for line in definition.lines if line.label in wanted):
        more = {(line.id, seed) for line in definition.lines if line.id for seed in _new(line, seeds)} - done
        line = shlex.join([*(word for word in words if not word.startswith("seeds=")), f"seeds={_spelt(seeds)}"])
        found.append(f"{line}  # {len(more)} more trial{'s' * (len(more) != 1)}, to settle {', '.join(wanted)}")
    return tuple(found)


def _new(line: Line, seeds: Sequence[int]) -> list[int]:
    return [seed for seed in seeds if seed not in line.seeds]


def _more(asked: Sequence[int], number: int) -> list[int]:
    """The seeds asked for and the lowest others, so many in all."""
    others = (seed for seed in range(len(asked) + number) if seed not in asked)
    return sorted([*asked, *(next(others) for _ in range(number - len(asked)))])


def _spelt(seeds: Sequence[int]) -> str:
    return str(len(seeds)) if list(seeds) == list(range(len(seeds))) else f"[{','.join(map(str, seeds))}]"


def _trials(number: int) -> str:
    return f"{number} trial{'s' * (number != 1)}"
