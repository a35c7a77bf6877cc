"""SLURM as the verbs see it (`launch.backends.Backend`): what is still to come, what to cancel and to retry."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from ablation.errors import AblationError
from ablation.store.attempt import CANCEL
from ablation.store.result import finished
from launch.backends import Retried, expected
from launch.compose.arm import Work
from launch.compose.naming import few
from launch.slurm import commands, jobs, records, sbatch
from launch.slurm.causes import never_ran, seed_folders
from launch.slurm.job_batches import Works
from launch.slurm.jobs import Job, JobKey
from launch.slurm.keeper import known as known_keepers
from launch.slurm.records import LOST, Array
from launch.slurm.rounds import Rounds, make_round, newest_array, next_commands, report_lines
from launch.status import trial_status
from launch.status.outcome import TrialKey
from launch.status.retry_policy import HOLD, STOP
from launch.status.sweep_status import Pending, Trial
from launch.sweep import submission as sweep
from launch.sweep import upload as uploads
from launch.sweep.submission import Submission

_SILENT_MINUTES = 10.0  # after which a job that neither writes nor trains is spoken of
_TRIALS = "they never start as they are: `ablation cancel` the sweep, and submit it again with", "resources"
_KEEPER = "it starts with", "keeper_resources"
# By SLURM's reasons (squeue's manual lists them), the first that fits: what helps. {ask} and {these} are those above.
_WAYS_OUT = (
    ("JobHeldAdmin", "an administrator holds them, and can say why"),
    ("Held", "`scontrol release {jobs}` lets them start"),
    ("TimeLimit|MaxWall", "{ask} a shorter hydra.launcher.{these}.time"),
    ("Minutes", "they start when the budget of the account or qos allows it; `sshare` shows it"),
    ("PerUser|PerAccount|Grp|JobsLimit", "they start as other jobs end"),
    ("BadConstraints", "`scontrol release {jobs}` once a node fits; else {ask} hydra.launcher.{these} that fit"),
    ("PerJob|PerNode|NodeLimit|PartitionConfig", "{ask} hydra.launcher.{these} that fit"),
    ("Account|InvalidQOS|QOSNotAllowed", "{ask} another hydra.launcher.{these}.account or qos"),
    ("DependencyNeverSatisfied", "`ablation cancel` the sweep, then `ablation retry` submits what is not done"),
    ("Partition|Node|Unavailable|Drain|Down", "they start when an administrator brings it back; `sinfo -R` says why"),
    ("", "`scontrol show job {jobs}` tells more"),
)


def newest(submission: Submission) -> int:
    """The number of its newest array of jobs."""
    return newest_array(submission.folder)


def pending(submissions: Sequence[Submission]) -> Pending:
    """What their jobs will start: those in the queue, and those that a keeper is to submit. SLURM is asked once."""
    found, keepers = Pending(), [records.read_keeper(submission) for submission in submissions]
    arrays = [_arrays(submission.folder) for submission in submissions]
    for submission in submissions:
        past = records.read_decisions(submission.folder)
        found.decisions |= {(work.id, seed): known[-1] for work, known in past.items() for seed in work.seeds}
    try:
        queue = jobs.queue([*keepers, *(a.key for own in arrays for a in own)], commands.LOOK)
    except AblationError as e:
        found.trouble.append(f"what waits in SLURM's queue is not known, the rest is what files say: {e}")
        queue = {}
    found.trouble += _obstacles(queue.values(), keepers)
    kept, stuck = set[TrialKey](), set[TrialKey]()
    for submission, own, keeper in zip(submissions, arrays, keepers, strict=True):
        for job, batch in _active_batches(own, queue).items():
            found.trouble += _ghosts(submission, queue[job], batch)
            trials = {(w.id, seed) for w in batch for seed in w.seeds}
            (stuck if queue[job].stuck else found.awaited).update(trials)
            found.waiting |= trials if queue[job].state == "PENDING" else set()
        if any(job.active and job.name == keeper.name for job in queue.values()):
            given_up = {key for key, v in found.decisions.items() if v.decision in (STOP, HOLD)}
            kept |= submission.trials - given_up
    # A person has to have those tried again that are stuck in every job that has them, even if a keeper waits for them.
    found.awaited |= kept - stuck
    for submission in submissions:
        found.decisions |= never_ran(submission)
    return found


def cancel(submission: Submission) -> list[str]:
    """Cancel the jobs all of whose trials carry the cancel marker, which is to be written before; returns their ids.

    Jobs that hold other trials too go on: who trains a marked one sees the marker, saves and stops. The keeper goes too
    if it follows none that goes on.

    Raises:
        AblationError: SLURM cannot be asked.
    """
    arrays, keepers = _arrays(submission.folder), known_keepers(submission)
    queue = jobs.queue([*keepers, *(array.key for array in arrays)], commands.LOOK)
    active = _active_batches(arrays, queue)
    found = [job for job, batch in active.items() if _all_over(submission, batch)]
    if all(queue[job].state == "PENDING" for job in active) and len(found) == len(active):
        names = {each.name for each in keepers}
        waiting = [job.id for job in queue.values() if job.name in names and job.state == "PENDING"]
        found += waiting if _all_over(submission, submission.works) else []
    commands.cancel_jobs(found, commands.LOOK)
    return found


def strays(submission: Submission) -> list[str]:
    """Jobs in the queue of submissions of this name and place whose folders were deleted, so that no verb knows them.

    Nothing of them is trained when they start; until then they keep their places.

    Raises:
        AblationError: SLURM cannot be asked.
    """
    folders = sweep.submissions(submission.out, submission.name)
    known = [array.key for folder in folders for array in records.read_arrays(folder)]
    known += [records.read_keeper(sweep.load(folder)) for folder in folders]
    # A keeper may still run when it has submitted the next one, of which alone there is a record.
    known += [JobKey(name) for folder in folders for name in sbatch.submitted_names(folder)]
    return sorted({job.number for job in jobs.strays(records.name_prefix(submission), known)})


def retry(submission: Submission, trials: Sequence[Trial], seen: int, console: Console) -> Retried:
    """Submit them again, by a round of their submission. What was given up of others is not told once more.

    Raises:
        ConfigError: SLURM takes none of the jobs.
        AblationError: SLURM cannot be asked.
    """
    report = make_round(submission.folder, again=[t.label for t in trials], seen=seen)
    _print(console, report_lines(report))
    report.require_accepted()
    _print(console, next_commands(submission))
    others = [t.label for t in trials if t.label not in report.again]
    return Retried(1 if report.refused else 0, report.jobs, report.refused, others=others)


def rounds(submissions: Sequence[Submission], print_line: Callable[[str], None]) -> Rounds:
    """The rounds in which what has ended is judged and tried again."""
    return Rounds(submissions, print_line)


def upload(submission: Submission) -> list[str]:
    """Upload what jobs could not."""
    return uploads.upload_submission(submission, expected(submission.out))


def _print(console: Console, lines: Sequence[str]) -> None:
    if not console.stderr:  # else a program reads standard output, and gets it as JSON
        console.print("\n".join(lines), markup=False, soft_wrap=True)


def _obstacles(queue: Iterable[Job], keepers: Iterable[JobKey] = ()) -> Iterator[str]:
    """What keeps jobs waiting that may not pass by itself, a line for each reason."""
    names, by_reason = {keeper.name for keeper in keepers}, dict[tuple[str, bool], list[Job]]()
    for job in queue:
        if job.obstacle:
            by_reason.setdefault((job.obstacle, job.name in names), []).append(job)
    for (reason, keeper), waiting in by_reason.items():
        named = few([job.id for job in waiting])
        who = f"the keeper (SLURM job {named}) waits" if keeper else f"SLURM jobs {named} wait"
        yield f"{who}: {reason}; {_way_out(waiting, keeper)}"


def _ghosts(submission: Submission, job: Job, batch: Works) -> Iterator[str]:
    """A job that runs for SLURM, and of which nothing lives: a controller that crashed goes on with an older state."""
    log = sbatch.log_file(submission.folder / sbatch.JOBS, job.id)
    if job.state != "RUNNING" or not log.exists():
        return
    minutes = (time.time() - log.stat().st_mtime) / 60
    kinds = {trial_status.of(folder, write=False).kind for work in batch for folder in seed_folders(submission, work)}
    if minutes > _SILENT_MINUTES and "running" not in kinds:
        yield (
            f"SLURM says that job {job.id} runs, and for {minutes:.0f} min nothing of it has shown life ({log}); if it "
            f"is a ghost, which `scontrol reconfigure` lets SLURM find out, `scontrol requeue {job.id}` starts it again"
        )


def _way_out(waiting: Sequence[Job], keeper: bool) -> str:
    """What helps jobs that wait for the same reason."""
    if waiting[0].stuck:
        return "`ablation retry` or `ablation watch` lets SLURM try to start them again"
    numbers = ",".join(sorted({job.number for job in waiting}))
    words = next(words for pattern, words in _WAYS_OUT if re.search(pattern, waiting[0].reason))
    ask, these = _KEEPER if keeper else _TRIALS
    meanwhile = "meanwhile what fails is tried again by `ablation watch` or retry; " if keeper else ""
    return meanwhile + words.format(ask=ask, these=these, jobs=numbers)


def _arrays(folder: Path) -> list[Array]:
    return [array for array in records.read_arrays(folder) if not array.canary and array.job != LOST]


def _active_batches(arrays: Sequence[Array], queue: Mapping[str, Job]) -> dict[str, Works]:
    """By job: what the jobs that wait or run were given."""
    by_name = {array.name: array for array in arrays}
    active = [job for job in queue.values() if job.active and job.name in by_name]
    return {job.id: by_name[job.name].batches[job.task] for job in sorted(active, key=lambda job: job.task)}


def _all_over(submission: Submission, works: Iterable[Work]) -> bool:
    """Whether all of these are cancelled, or done."""
    folders = [folder for work in works for folder in seed_folders(submission, work)]
    return all((folder / CANCEL).exists() or finished(folder) for folder in folders)
