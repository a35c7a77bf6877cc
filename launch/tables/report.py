"""`hydra/launcher=report`: the same arms, read instead of run. Starts nothing, writes nothing but into `to`.

Its arms are those that the other launchers would run, and those that cannot be composed.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from ablation.build import near
from ablation.errors import AblationError, ConfigError
from ablation.store import set_aside
from ablation.track.ready import SQLITE, database
from launch.compose import overrides
from launch.compose.arm import resolved
from launch.compose.composer import Composer
from launch.compose.grid import GridRow
from launch.compose.overrides import run_command, verb_command
from launch.sweep.launcher_options import refuse_unknown, truth, typed
from launch.sweep.upload import tracker
from launch.tables.definition import build_definition, compositions
from launch.tables.request import parse_request
from results.tables.definition import Definition, Line

if TYPE_CHECKING:
    from pandas import DataFrame

    from results.tables.table import Table

_OURS = "grid"  # the sweeper whose rows have labels
_WIDE = 140  # columns where there is no terminal


@dataclass(frozen=True)
class ReportOptions:
    """The options of `conf/hydra/launcher/report.yaml`, checked."""

    uri: str | None
    to: str | None
    metric: str | None
    baseline: str | None
    best: bool
    json: bool
    publish: bool = False


@dataclass(frozen=True)
class RequestedArms:
    """The arms of a report, and where they are recorded."""

    definition: Definition
    tracker: str  # an MLflow URI; empty: none
    out: Path  # where their run folders are, which a report can do without


def launch(config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> list[JobReturn]:
    """Print the table of these override lists' arms, and write its files; one return a list.

    Raises:
        ConfigError: an option that cannot be, or no tracker.
    """
    from results.read import runs
    from results.render import json
    from results.tables.table import build
    from results.trackers.frame import tidy

    node: Any = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    options = read_options(node)
    with redirect_stdout(sys.stderr):  # a trick's module may print; standard output is the table's
        arms = requested_arms(config, job_overrides)
        uri = tracker_of(arms, options.uri)
        frame = runs(uri, {line.id for line in arms.definition.lines if line.id}) if uri else tidy([], None)
        frame = _without_set_aside(frame, arms.out)
        table = build(with_options(arms.definition, options), frame)
    _print_unsynced(table, arms.out, options.uri)
    files = list[Path]()
    if options.to is not None:
        from launch.tables import report_files

        files = report_files.write(table, frame, uri, Path(options.to), options.best)
        if options.publish:
            report_files.publish_files(table, frame, uri, files)
    if options.json:
        print(json.render(table), end="")
    else:
        print_table(table, options.best)
    if files:
        print(f"written to {options.to}: {', '.join(file.name for file in files)}", file=sys.stderr)
    error = incomplete_error(table)
    status = JobStatus.FAILED if error else JobStatus.COMPLETED
    return [JobReturn(overrides=list(row), status=status, _return_value=error) for row in job_overrides]


def read_options(node: Mapping[str, Any]) -> ReportOptions:
    """The options in Hydra's node of the launcher.

    Raises:
        ConfigError: names key, value and the way out.
    """
    given = {key: value for key, value in node.items() if not key.startswith("_")}
    refuse_unknown(given, ReportOptions.__annotations__, kind="option of report")
    for key, value in given.items():
        if key in ("best", "json", "publish"):
            truth(given, key)
        elif value is not None and not isinstance(value, str):
            raise ConfigError(f"hydra.launcher.{key}={typed(value)}: is not text; put it in quotes")
    if given.get("publish") and not given.get("to"):
        raise ConfigError(
            "hydra.launcher.publish=true: shows files of a report in MLflow; name their folder with hydra.launcher.to="
        )
    return ReportOptions(**given)


def requested_arms(config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> RequestedArms:
    """The arms of a sweep. `config` is the sweep's, with Hydra's node; another sweeper's rows are taken as they come.

    Raises:
        ConfigError: a mistake in the grid or the table, or arms that are recorded in different places.
    """
    given = config.hydra.overrides
    ours = config.hydra.runtime.choices["hydra/sweeper"] == _OURS
    rows = None if ours else tuple(GridRow(tuple(row)) for row in job_overrides)
    # The options of another sweeper mean nothing to ours.
    request = parse_request([*given.task, *(given.hydra if ours else overrides.search_paths(given.hydra))], rows)
    composed = compositions(request.rows, overrides.search_paths(request.hydra))
    configs = [arms[-1].config for arms in composed if isinstance(arms, list)]
    recorded = [text for text in request.task if text.startswith(("track", "out="))]  # other keys may lack their rows
    configs = configs or [resolved(Composer(overrides.search_paths(request.hydra))(recorded).config)]
    trackers = sorted({tracker(each, Path.cwd()) for each in configs})
    if len(trackers) > 1 and not config.hydra.launcher.uri:
        places = ", ".join(uri or "nowhere" for uri in trackers)
        raise ConfigError(
            f"track: these arms are recorded in several places ({places}); choose one with hydra.launcher.uri="
        )
    command = run_command(overrides.sweep_command(given.task, given.hydra))
    return RequestedArms(
        replace(build_definition(request, composed), command=command), trackers[0], Path(configs[0]["out"])
    )


def with_options(definition: Definition, options: ReportOptions) -> Definition:
    """The definition with the metric and the baseline that the options give; a line with one of its own keeps it.

    Raises:
        ConfigError: no line has this label.
    """
    if options.baseline is not None:
        names = {line.name: line.label for line in definition.lines}
        names |= {line.label: line.label for line in definition.lines}
        if options.baseline not in names:
            way = near(options.baseline, [line.label for line in definition.lines])
            raise ConfigError(f"hydra.launcher.baseline={options.baseline}: no row has this label; {way}")
        base = names[options.baseline]
        definition = replace(definition, lines=tuple(_compared_with(line, base) for line in definition.lines))
    return replace(definition, metric=options.metric or definition.metric)


def tracker_of(arms: RequestedArms, uri: str | None) -> str:
    """The tracker to read: that at `uri`, or the arms' own; empty if nothing was ever recorded in their own.

    Raises:
        ConfigError: they are recorded nowhere.
    """
    if uri is None and not arms.tracker:
        where = f"{SQLITE}results/mlflow.db"
        raise ConfigError(
            f"track: these arms are recorded nowhere; bring those that are done to a tracker with "
            f"`{verb_command(f'sync --uri {where}', arms.out)}`, and read it with hydra.launcher.uri={where}"
        )
    if uri is None and (file := database(arms.tracker)) and not file.exists():
        print(f"note: nothing has been recorded in {arms.tracker} yet", file=sys.stderr)
        return ""
    return uri or arms.tracker


def print_table(table: Table, best: bool) -> None:
    """Print it, as wide as the terminal."""
    from rich.console import Console

    from results.render import terminal

    console = Console(highlight=False, markup=False)
    terminal.show(table, console if console.is_terminal else Console(highlight=False, markup=False, width=_WIDE), best)


def incomplete_error(table: Table) -> AblationError | None:
    """The error with which the report ends, unless every line has all of its seeds and nothing was refused."""
    if table.complete:
        return None
    number = sum(not cell.complete for cell in table.cells)
    return AblationError(
        f"{number} of {len(table.cells)} rows are not complete; their cells and footnotes say what is missing"
    )


def _compared_with(line: Line, baseline: str) -> Line:
    """The line, compared with this one; controls stay beside what they repeat, as lines with a partner of their own."""
    from results.tables.verdict import CONTROL

    if line.label == baseline:
        return replace(line, against=None)
    return line if line.fixed or CONTROL in line.flags else replace(line, against=baseline)


def _without_set_aside(frame: DataFrame, out: Path) -> DataFrame:
    """Without the trials that were set aside here, which a tracker keeps."""
    if frame.empty:
        return frame
    trials = zip(frame["id"], frame["seed"], strict=True)
    gone = [set_aside.withdrawn(out, id_, int(seed)) for id_, seed in trials]
    if any(gone):
        print(f"note: trials that are set aside in {out / set_aside.ASIDE} are left out: {sum(gone)}", file=sys.stderr)
    return frame[[not g for g in gone]]


def _print_unsynced(table: Table, out: Path, uri: str | None) -> None:
    """Say how many trials that the table lacks are done, and only not uploaded to the tracker."""
    lacking = {(cell.line.id, seed) for cell in table.cells for seed in cell.waiting}
    done = sum((out / str(id_) / f"seed-{seed}" / "result.json").exists() for id_, seed in lacking)
    if done:
        words = f"sync --uri {shlex.quote(uri)}" if uri else "sync"
        told = f"trials that are done but not yet in MLflow: {done}; `{verb_command(words, out)}` brings them there"
        print(f"note: {told}", file=sys.stderr)
