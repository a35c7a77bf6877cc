"""Works on worker processes: hand them out, read the events, replace what dies. One thread, one loop.

The local launcher and the inside of a SLURM job run their works in a `Pool`; which work is next is `Scheduler`'s.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ablation.errors import AblationError
from launch.compose.arm import Work
from launch.status.outcome import Event, Outcome, TrialKey
from launch.status.retry_policy import Policy, Resources
from launch.sweep.submission import Submission
from launch.workers.process import Slot, WorkerProcess
from launch.workers.scheduler import Scheduler

_TICK = 0.5  # seconds without news after which the loop looks around
_START_TRIES = 3  # workers in succession that die before they are ready, once one has been, or are killed


class Pool:
    """Runs works of a submission on slots. `emit` gets every event, `tick` is called every moment.

    `supersede` are SLURM jobs whose attempts are taken over. With `probe` a few steps of each work are tried, whatever
    its state, and nothing is kept. With `seen` what others have tried since, and failed in, is not tried again: it has
    the newest attempt at a trial when that was asked for; where it has none, that is now.
    """

    def __init__(
        self,
        submission: Submission,
        slots: Sequence[Slot],
        emit: Callable[[Event], None],
        retry: Policy,
        tick: Callable[[], None] = lambda: None,
        supersede: Collection[str] = (),
        probe: bool = False,
        seen: Mapping[TrialKey, int] | None = None,
    ) -> None:
        self._submission, self._slots, self._emit, self._tick = submission, slots, emit, tick
        self._retry, self._supersede, self._probe, self._seen = retry, supersede, probe, seen
        self._workers: dict[Slot, WorkerProcess] = {}
        self._selector = selectors.DefaultSelector()
        self._stopping = self._stop_sent = False
        self._failed_starts, self._ever_ready = 0, False
        self._broken_gpus: dict[str, str] = {}  # that failed a trial through no fault of its own, and what it said

    def run(self, works: Iterable[Work]) -> dict[TrialKey, Outcome]:
        """Train them; returns when each trial has a final outcome, or when stopped.

        Raises:
            AblationError: workers cannot be started.
        """
        scheduler = Scheduler(
            self._submission, works, self._retry, self._emit, self._supersede, self._probe, self._seen
        )
        try:
            while not scheduler.over:
                if self._stopping:
                    self._send_stop(scheduler)
                else:
                    self._hand_out(scheduler)
                if not scheduler.over:
                    self._listen(scheduler)
                self._tick()
        finally:
            self._end_workers()
        return scheduler.outcomes

    def stop(self) -> None:
        """Let all workers save and stop; may be called by a signal handler or from `emit`."""
        self._stopping = True

    def kill(self) -> None:
        """End all workers at once; may be called by a signal handler."""
        self._stopping = True
        for worker in list(self._workers.values()):
            worker.kill()

    def _hand_out(self, scheduler: Scheduler) -> None:
        if all(slot.device in self._broken_gpus for slot in self._slots):
            reasons = "; ".join(f"GPU {device}: {text}" for device, text in self._broken_gpus.items())
            scheduler.finish_all(Outcome("failed", "node", f"no GPU is left that works. {reasons}"))
        for slot in self._slots:
            if self._busy(slot) or slot.device in self._broken_gpus:
                continue
            beside = [s for s in self._slots if s.device == slot.device]
            taken = [self._workers[s].room for s in beside if self._busy(s)]
            chosen = scheduler.take(len(beside), lambda room, taken=taken: _fits(room, taken))  # type: ignore[misc]
            if chosen is not None:
                work, room = chosen
                self._worker_for(slot, room, beside).send(work, room, self._supersede, self._probe)

    def _busy(self, slot: Slot) -> bool:
        return slot in self._workers and (self._workers[slot].work is not None or self._workers[slot].leaving)

    def _worker_for(self, slot: Slot, room: Resources, beside: Sequence[Slot]) -> WorkerProcess:
        """The slot's worker; a new one if there is none, or the work needs more room than it was made for."""
        share = min(1.0, slot.memory_share * len(beside) / room.pack)
        if room.pack < len(beside):  # what idle workers hold of the device's memory is needed
            for other in beside:
                if other in self._workers and not self._busy(other):
                    self._remove(self._workers[other]).retire()
        elif slot in self._workers and self._workers[slot].memory_share != share:
            self._remove(self._workers[slot]).retire()
        if slot not in self._workers:
            self._workers[slot] = WorkerProcess(self._submission, slot, share)
            self._selector.register(self._workers[slot], selectors.EVENT_READ)
        return self._workers[slot]

    def _remove(self, worker: WorkerProcess) -> WorkerProcess:
        self._selector.unregister(worker)
        return self._workers.pop(worker.slot)

    def _listen(self, scheduler: Scheduler) -> None:
        self._selector.select(_TICK)
        for worker in list(self._workers.values()):
            dead = worker.has_ended  # asked first: all that it wrote is then read below
            for event in worker.events():
                self._handle(worker, event, scheduler)
            if worker.overdue:
                worker.kill()
            if dead or worker.output_ended or worker.overdue:
                self._handle_death(worker, scheduler)

    def _handle(self, worker: WorkerProcess, event: Event, scheduler: Scheduler) -> None:
        if event["event"] == "ready":
            worker.ready = self._ever_ready = True
            self._failed_starts = 0
        elif event["event"] == "end":
            worker.finish_work(event["leaving"])
            self._check_gpu(worker, event["work"], event["outcomes"].values())
            scheduler.finish(event["work"], event["outcomes"], worker.room)
        else:
            self._emit({**event, "slot": worker.slot.name})

    def _handle_death(self, worker: WorkerProcess, scheduler: Scheduler) -> None:
        work, outcome = worker.work, self._remove(worker).reap()
        if not worker.ready and not self._stopping:
            self._failed_starts += 1
            by_itself = not self._ever_ready and not worker.killed
            if by_itself or self._failed_starts >= _START_TRIES:
                raise AblationError(f"workers cannot start: {outcome.message}")
        if work is None:
            return
        if not worker.ready:
            scheduler.put_back(work)
        else:
            ended = Outcome("stopped", message=outcome.message) if self._stopping else outcome
            self._check_gpu(worker, work, [ended])
            scheduler.finish(work, dict.fromkeys(work.seeds, ended), worker.room)

    def _check_gpu(self, worker: WorkerProcess, work: Work, outcomes: Iterable[Outcome]) -> None:
        """A GPU that failed is given no other trial: it would fail that as well."""
        messages = [o.message for o in outcomes if o.cause == "node"]
        if messages and worker.slot.gpu and worker.slot.device not in self._broken_gpus:
            self._broken_gpus[worker.slot.device] = messages[0]
            text = f"GPU {worker.slot.device} is given no more trials, since it failed this one: {messages[0]}"
            self._emit({"event": "note", "work": work, "text": text})

    def _send_stop(self, scheduler: Scheduler) -> None:
        if not self._stop_sent:
            self._stop_sent = True
            self._emit({"event": "stopping", "busy": sum(c.work is not None for c in self._workers.values())})
            for worker in self._workers.values():
                worker.stop()
        scheduler.stop()

    def _end_workers(self) -> None:
        """No worker is left behind; those at work, if an error ends the pool, save first."""
        for worker in self._workers.values():
            worker.stop() if worker.work is not None else worker.close()
        for worker in list(self._workers.values()):
            self._remove(worker).retire()
        self._selector.close()


def _fits(room: Resources, taken: Sequence[Resources]) -> bool:
    """Whether a work may run beside those that run, none of which may have more company than its room says."""
    return len(taken) < min([room.pack, *(r.pack for r in taken)])
