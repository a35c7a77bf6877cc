"""Inside a SLURM job: `python -m launch.slurm.job SUBMISSION ARRAY` trains batch SLURM_ARRAY_TASK_ID of an array.

Exit codes, which SLURM's accounts show: 0 all done (or cancelled), 1 a trial failed, 75 some are left for a later job.
SIGUSR2 (time limit, preemption) and SIGTERM (preemption, scancel) let all trials save and stop. Unless it was cancelled
the job then puts itself back into the queue, provided that it got somewhere: what would stop at once again is left to
the retry policy.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ablation.errors import AblationError
from ablation.store import process
from ablation.store.file_errors import in_words, of_disk
from ablation.store.result import look
from launch.compose.arm import Work
from launch.slurm import jobs, options, records
from launch.slurm.causes import seed_folders
from launch.slurm.job_batches import teachers
from launch.slurm.records import LOST, Array
from launch.status import retry_policy
from launch.status.outcome import Event, Outcome, TrialKey
from launch.sweep import submission as sweep
from launch.sweep import upload
from launch.sweep.submission import Submission
from launch.terminal.streams import outlive_output
from launch.workers.pool import Pool
from launch.workers.process import OFFLINE, Slot

_LEFT = 75  # EX_TEMPFAIL
_WAIT_SECONDS = 60.0  # in which nothing happens but waiting for trials that others train: devices cost


def main(folder: Path, number: int, name: str = "") -> int:
    """Train one batch; returns the exit code. `name`: of the array; in the submission's files it has to be the same."""
    if (task := os.environ.get("SLURM_PROCID", "0")) != "0":
        print(f"this job is one process, and task {task} of it is one too many, which leaves all to task 0")
        return 0
    try:
        submission, array = sweep.load(folder), records.read_array(folder, number)
    except (sweep.Unreadable, PermissionError) as e:
        print(f"error: {in_words(e)}")
        return 1
    except (AblationError, FileNotFoundError):
        print(f"nothing to train: {folder} was deleted")
        return 0
    if name and array.name != name:
        print(f"nothing to train: {folder} was deleted, and is another submission's now")
        return 0
    if array.job == LOST:
        print("nothing to train: sbatch did not answer for this array, so its trials were submitted in another")
        return 0
    records.forget_exit(folder, process.job())
    batch = BatchJob(submission, array, int(os.environ["SLURM_ARRAY_TASK_ID"]))
    for stop in (signal.SIGUSR2, signal.SIGTERM):
        signal.signal(stop, batch.on_signal)
    works = array.batches[batch.index]
    try:
        outcomes = batch.run()
    except (AblationError, OSError) as e:  # no worker can be started here, so perhaps elsewhere
        ended = Outcome("failed", "disk" if of_disk(e) else "node", in_words(e))
        outcomes = {(w.id, seed): ended for w in works for seed in w.seeds}
    summary = _summary(works, outcomes)
    print("\n".join(f"{label}: {text}" for label, text in summary.items()))
    code = _exit_code(works, outcomes)
    word = batch.signal or (records.LEFT if code == _LEFT else "")
    try:
        records.write_exit(folder, process.job(), records.JobExit(word, code, _failures(works, outcomes)))
    except OSError as e:  # the next round goes by SLURM's accounts
        print(f"{records.NOT_KEPT}: {in_words(e)}")
    if code == _LEFT and (batch.advanced or array.canary) and _may_run_later(batch.signal):
        _requeue()
    return code


def _failures(works: tuple[Work, ...], outcomes: Mapping[TrialKey, Outcome]) -> dict[str, tuple[str, str]]:
    """By work: the first failure's cause and message."""
    ends = {work: [outcomes[work.id, seed] for seed in work.seeds if (work.id, seed) in outcomes] for work in works}
    return {
        work.label: next((o.cause, o.message) for o in own if o.state == "failed")
        for work, own in ends.items()
        if any(o.state == "failed" for o in own)
    }


def _may_run_later(signal: str) -> bool:
    """Whether SLURM may run the rest of this job later: we were warned, or asked to stop but not cancelled.

    Within a partition's grace time a preempted job is RUNNING; if it ends by itself then, SLURM does not requeue it.
    """
    return signal == "SIGUSR2" or (signal == "SIGTERM" and jobs.job_state(process.job()) == "RUNNING")


def _exit_code(works: tuple[Work, ...], outcomes: Mapping[TrialKey, Outcome]) -> int:
    states = [o.state for o in outcomes.values()]
    if "failed" in states:
        return 1
    whole = len(states) == sum(len(work.seeds) for work in works)
    return 0 if whole and set(states) <= {"done", "cancelled"} else _LEFT


def _summary(works: tuple[Work, ...], outcomes: Mapping[TrialKey, Outcome]) -> dict[str, str]:
    trials = [(work.id, seed) for work in works for seed in work.seeds]
    none = Outcome("left", message="its teacher is not done")
    return {
        f"{id_}/seed-{seed}": " ".join(filter(None, [o.state, o.cause, o.message]))
        for id_, seed in trials
        for o in [outcomes.get((id_, seed), none)]
    }


def _requeue() -> None:
    """Back into the queue, under the same number; where that is not allowed, the next round submits the rest."""
    try:
        subprocess.run(["scontrol", "requeue", process.job()], check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as e:
        print(f"this job could not be put back into the queue: {e}; the next round submits what is left")


class BatchJob:
    """One job's works, while they are trained."""

    def __init__(self, submission: Submission, array: Array, index: int) -> None:
        self.submission, self.array, self.index = submission, array, index
        self.signal = ""  # the first that asked to stop
        self.advanced = False  # some trial got further here
        self._waiting: set[Work | None] = set()
        self._last_event = time.monotonic()
        self._pool: Pool | None = None

    def on_signal(self, number: int, _: object) -> None:
        """A signal: save and stop."""
        self.signal = self.signal or signal.Signals(number).name
        if self._pool:
            self._pool.stop()

    def run(self) -> dict[TrialKey, Outcome]:
        """Train what can be trained; trials whose teacher is not done are left out.

        Raises:
            AblationError: workers cannot be started.
        """
        works = [work for work in self.array.batches[self.index] if self.array.canary or self._ready(work)]
        never = retry_policy.read({})  # what follows a failure is decided when the job has ended
        self._pool = Pool(
            self.submission,
            slots(self.array.room.pack, upload.offline(self.submission), options.read(self.submission.launcher).gpu),
            self._on_event,
            never,
            self._tick,
            self.array.supersede,
            probe=self.array.canary,
        )
        if self.signal:
            self._pool.stop()
        return self._pool.run(works)

    def _ready(self, work: Work) -> bool:
        needed = [
            folder for teacher in teachers(self.submission, work) for folder in seed_folders(self.submission, teacher)
        ]
        return all(look(folder) is not None for folder in needed)

    def _on_event(self, event: Event) -> None:
        print(" ".join(f"{k}={v}" for k, v in event.items()), flush=True)
        if event["event"] == "wait":
            self._waiting.add(event["work"])
            return
        self._last_event = time.monotonic()
        self._waiting.discard(event.get("work"))
        self.advanced |= event["event"] == "epoch"

    def _tick(self) -> None:
        if self._waiting and self._pool and time.monotonic() - self._last_event > _WAIT_SECONDS:
            self._pool.stop()


def slots(pack: int, offline: bool, gpu: bool) -> list[Slot]:
    """Slots for workers: `pack` on each GPU that SLURM gave us, or `pack` in all; the job's cores shared out.

    `gpu`: the job asked for GPUs. Where SLURM then says nothing in the environment, none is hidden; a worker that can
    use none fails. A job that asked for none leaves alone those of others.
    """
    promised = gpu or "SLURM_JOB_GPUS" in os.environ
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", None if promised else "")
    given: list[str | None] = [visible] if not visible else list(visible.split(","))
    devices = [device for device in given for _ in range(pack)]
    threads = str(max(1, _cores() // len(devices)))
    common = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, **({OFFLINE: "1"} if offline else {})}
    return [
        Slot(
            name=f"{process.job()}-{k}",
            env=common | ({} if device is None else {"CUDA_VISIBLE_DEVICES": device}),
            memory_share=1 / pack,
            device=device or "",
            gpu=gpu and device != "",
        )
        for k, device in enumerate(devices)
    ]


def _cores() -> int:
    """That SLURM gave us, but no more than there are."""
    there = len(os.sched_getaffinity(0))
    return min(int(os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE") or there), there)


if __name__ == "__main__":
    outlive_output(hang_up=False)
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:4]))
