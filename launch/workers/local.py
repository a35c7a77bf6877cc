"""`hydra/launcher=local`: a sweep on this machine, in worker processes that import once, one a GPU or several on a CPU.

`ablation retry` resumes a part of such a sweep by the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from rich.console import Console

from ablation.errors import ConfigError
from ablation.store import attempt
from launch.backends import expected
from launch.checks import canary, no_effect
from launch.compose import warnings
from launch.compose.arm import Planned, Work
from launch.compose.errors import plural
from launch.status import retry_policy
from launch.status.outcome import Event, Outcome, TrialKey
from launch.status.sweep_status import Pending, Trial, narrow_submission, outcome_of, sweep_status
from launch.sweep import edited_code, provenance, upload
from launch.sweep import submission as sweep
from launch.sweep.submission import Submission
from launch.terminal import live_table, summary
from launch.terminal.sweep_progress import Progress
from launch.workers import devices
from launch.workers.driver import driving
from launch.workers.pool import Pool
from launch.workers.process import Slot
from launch.workers.signals import StopSignals

_UPLOAD_SECONDS = 60.0  # at the end, to upload what trials could not; who cannot wait presses Ctrl-C
_KEYS = ("retry", "gpus", "per_gpu", "workers")  # options that training here needs


def run(planned: Sequence[Planned], options: Mapping[str, Any], command: str) -> dict[TrialKey, Outcome]:
    """Freeze the sweep, train what is not done, and print how it went; `options` is the node `hydra.launcher`.

    Raises:
        ConfigError: an impossible option.
        AblationError: workers cannot be started.
    """
    _require_keys(options)
    retry, slots, canary_first = (
        retry_policy.read(options["retry"]),
        devices.choose_slots(options, planned),
        canary.is_requested(options),
    )
    found = no_effect.check(planned, no_effect.read(options))
    made = sweep.create(planned, options, command)
    edit_notes = edited_code.notes(planned)
    progress = Progress(made, len(slots))
    outcomes = _drive(made, progress, retry, slots, Console(highlight=False), canary_first, found, edit_notes)
    upload.upload_news(made.out, made.news)  # last: of a thousand trials that were done before it takes minutes
    return outcomes


def resume(submission: Submission, trials: Sequence[Trial], console: Console) -> dict[TrialKey, Outcome]:
    """Train trials of an earlier submission, with that one's configurations, code and number of threads.

    What somebody else has tried since they stood as `trials` says, and failed in, is not tried once more.

    Raises:
        AblationError: workers cannot be started, or another process trains them.
    """
    options, planned = submission.launcher, list(submission.arms.values())
    _require_keys(options)
    seen = {(t.planned.arm.id, t.seed): t.state.attempts for t in trials}
    part, retry = narrow_submission(submission, trials), retry_policy.read(options["retry"])
    slots = devices.choose_slots(options, planned)
    progress = Progress(submission, len(slots))  # of the whole sweep, of which the others stand as their files say
    others = [t for t in sweep_status([submission], Pending).trials if (t.planned.arm.id, t.seed) not in seen]
    return _drive(part, progress, retry, slots, console, seen=seen, others=others)


def _require_keys(options: Mapping[str, Any]) -> None:
    """Of a launcher of one's own that trains by these workers, refuse a YAML without their options.

    Raises:
        ConfigError: some are missing.
    """
    if missing := [f"hydra.launcher.{key}" for key in _KEYS if key not in options]:
        raise ConfigError(
            f"{', '.join(missing)}: missing, and this launcher trains in worker processes on this machine; begin its "
            "YAML's defaults list with `local`"
        )


def _drive(
    submission: Submission,
    progress: Progress,
    retry: retry_policy.Policy,
    slots: Sequence[Slot],
    console: Console,
    canary_first: bool = False,
    found: no_effect.CheckResult = no_effect.NOT_CHECKED,
    edit_notes: Sequence[str] = (),
    seen: Mapping[TrialKey, int] | None = None,
    others: Sequence[Trial] = (),
) -> dict[TrialKey, Outcome]:
    signals = StopSignals()
    with closing(live_table.choose_view(progress, console)) as view, driving(submission) as touch, signals:
        arms = list(submission.arms.values())
        notes = [*devices.notes(slots), *warnings.sweep_notes(arms), *edit_notes, *found.notes, *provenance.notes()]
        for note in notes:
            view.print_line(f"note: {note}")

        def show(event: Event) -> None:
            progress.update(event)
            view.update(event)

        def tick() -> None:
            touch()
            view.tick()

        if others:
            works = {Work(t.planned.arm.id, (t.seed,)): {t.seed: outcome_of(t)} for t in others}
            show({"event": "found", "works": works})

        def run_pool(pool: Pool, works: list[Work]) -> dict[TrialKey, Outcome]:
            """One that is run after the first signal begins nothing."""
            signals.direct_to(pool.stop, pool.kill)
            return pool.run(works)

        def probe(works: list[Work]) -> dict[TrialKey, Outcome]:
            view.print_line(f"canary: a few steps of {plural(len(works), 'trial')} come first, one of every shape")
            return run_pool(Pool(submission, slots, view.update_probe, retry_policy.read({}), touch, probe=True), works)

        held = canary.failed_outcomes(submission, probe) if canary_first else {}
        for work, ends in held.items():
            show({"event": "end", "work": work, "outcomes": ends})
        if held:
            outcomes = {(work.id, seed): outcome for work, ends in held.items() for seed, outcome in ends.items()}
        else:
            outcomes = run_pool(Pool(submission, slots, show, retry, tick, seen=seen or {}), submission.works)
    summary.show(submission, progress, console, [*found.dead, *edit_notes])
    folders = [submission.out / id_ / f"seed-{seed}" for id_, seed in outcomes.keys() - progress.before]
    begun = [folder for folder in sorted(folders) if attempt.latest(folder)]
    upload.upload_end(submission, begun, expected(submission.out), _UPLOAD_SECONDS)
    return outcomes
