"""Works on worker processes: hand out, listen, replace what dies. One thread, one loop."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Collection, Iterable, Sequence

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
    """Runs works of a submission on slots. `tell` is told of everything that happens, `tick` called every moment.

    `supersede` are SLURM jobs whose attempts are taken over. With `probe` a few steps of each work are tried, whatever
    its state, and nothing is kept.
    """

    def __init__(
        self,
        submission: Submission,
        slots: Sequence[Slot],
        tell: Callable[[Event], None],
        retry: Policy,
        tick: Callable[[], None] = lambda: None,
        supersede: Collection[str] = (),
        probe: bool = False,
    ) -> None:
        self._submission, self._slots, self._tell, self._tick = submission, slots, tell, tick
        self._retry, self._supersede, self._probe = retry, supersede, probe
        self._children: dict[Slot, WorkerProcess] = {}
        self._selector = selectors.DefaultSelector()
        self._stopping = self._asked = False
        self._unborn, self._ever = 0, False
        self._broken: dict[str, str] = {}  # GPUs that failed a trial through no fault of its own, and what was said

    def run(self, works: Iterable[Work]) -> dict[TrialKey, Outcome]:
        """Train them; returns when each trial has a final outcome, or when stopped.

        Raises:
            AblationError: workers cannot be started.
        """
        backlog = Scheduler(self._submission, works, self._retry, self._tell, self._supersede, self._probe)
        try:
            while not backlog.over:
                if self._stopping:
                    self._halt(backlog)
                else:
                    self._hand_out(backlog)
                if not backlog.over:
                    self._listen(backlog)
                self._tick()
        finally:
            self._end()
        return backlog.outcomes

    def stop(self) -> None:
        """Let all workers save and stop; may be called by a signal handler or from `tell`."""
        self._stopping = True

    def kill(self) -> None:
        """End all workers at once; may be called by a signal handler."""
        self._stopping = True
        for child in list(self._children.values()):
            child.kill()

    def _hand_out(self, backlog: Scheduler) -> None:
        if all(slot.device in self._broken for slot in self._slots):
            said = "; ".join(f"GPU {device}: {text}" for device, text in self._broken.items())
            backlog.refuse(Outcome("failed", "node", f"no GPU is left that works. {said}"))
        for slot in self._slots:
            if self._busy(slot) or slot.device in self._broken:
                continue
            beside = [s for s in self._slots if s.device == slot.device]
            taken = [self._children[s].room for s in beside if self._busy(s)]
            chosen = backlog.next(len(beside), lambda room, taken=taken: _fits(room, taken))  # type: ignore[misc]
            if chosen is not None:
                work, room = chosen
                self._worker(slot, room, beside).give(work, room, self._supersede, self._probe)

    def _busy(self, slot: Slot) -> bool:
        return slot in self._children and (self._children[slot].work is not None or self._children[slot].leaving)

    def _worker(self, slot: Slot, room: Resources, beside: Sequence[Slot]) -> WorkerProcess:
        """The slot's worker; a new one if there is none, or the work needs more room than it was made for."""
        share = min(1.0, slot.memory_share * len(beside) / room.pack)
        if room.pack < len(beside):  # what idle workers hold of the device's memory is needed
            for other in beside:
                if other in self._children and not self._busy(other):
                    self._forget(self._children[other]).retire()
        elif slot in self._children and self._children[slot].memory_share != share:
            self._forget(self._children[slot]).retire()
        if slot not in self._children:
            self._children[slot] = WorkerProcess(self._submission, slot, share)
            self._selector.register(self._children[slot], selectors.EVENT_READ)
        return self._children[slot]

    def _forget(self, child: WorkerProcess) -> WorkerProcess:
        self._selector.unregister(child)
        return self._children.pop(child.slot)

    def _listen(self, backlog: Scheduler) -> None:
        self._selector.select(_TICK)
        for child in list(self._children.values()):
            dead = child.dead  # asked first: all that it said is then read below
            for event in child.events():
                self._heard(child, event, backlog)
            if child.overdue:
                child.kill()
            if dead or child.silent or child.overdue:
                self._died(child, backlog)

    def _heard(self, child: WorkerProcess, event: Event, backlog: Scheduler) -> None:
        if event["event"] == "ready":
            child.ready = self._ever = True
            self._unborn = 0
        elif event["event"] == "end":
            child.ended(event["leaving"])
            self._judge(child, event["work"], event["outcomes"].values())
            backlog.end(event["work"], event["outcomes"], child.room)
        else:
            self._tell({**event, "slot": child.slot.name})

    def _died(self, child: WorkerProcess, backlog: Scheduler) -> None:
        work, outcome = child.work, self._forget(child).bury()
        if not child.ready and not self._stopping:
            self._unborn += 1
            by_itself = not self._ever and not child.killed
            if by_itself or self._unborn >= _START_TRIES:
                raise AblationError(f"workers cannot start: {outcome.message}")
        if work is None:
            return
        if not child.ready:
            backlog.give_back(work)
        else:
            ended = Outcome("stopped", message=outcome.message) if self._stopping else outcome
            self._judge(child, work, [ended])
            backlog.end(work, dict.fromkeys(work.seeds, ended), child.room)

    def _judge(self, child: WorkerProcess, work: Work, outcomes: Iterable[Outcome]) -> None:
        """A GPU that failed is given no other trial: it would fail that as well."""
        said = [o.message for o in outcomes if o.cause == "node"]
        if said and child.slot.gpu and child.slot.device not in self._broken:
            self._broken[child.slot.device] = said[0]
            text = f"GPU {child.slot.device} is given no more trials, since it failed this one: {said[0]}"
            self._tell({"event": "note", "work": work, "text": text})

    def _halt(self, backlog: Scheduler) -> None:
        if not self._asked:
            self._asked = True
            self._tell({"event": "stopping", "busy": sum(c.work is not None for c in self._children.values())})
            for child in self._children.values():
                child.stop()
        backlog.stop()

    def _end(self) -> None:
        """No worker is left behind; those at work, if an error ends the pool, save first."""
        for child in self._children.values():
            child.stop() if child.work is not None else child.close()
        for child in list(self._children.values()):
            self._forget(child).retire()
        self._selector.close()


def _fits(room: Resources, taken: Sequence[Resources]) -> bool:
    """Whether a work may run beside those that run, none of which may have more company than its room says."""
    return len(taken) < min([room.pack, *(r.pack for r in taken)])
