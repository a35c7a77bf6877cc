"""What SLURM knows of our jobs: squeue of what waits, runs or has just ended, sacct also of what ended long ago.

A job is ours if its number is one that we were told and its name (or its comment, should somebody rename it) is the one
that we gave it, which holds a random token. A name alone may be an earlier submission's of the same folder, and numbers
begin anew where a cluster loses its state. Neither command is trusted with whether a trial is done: its files say that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ablation.errors import AblationError
from launch.slurm.commands import ROUND, Patience, call, split_ids

# The accounts say who cancelled a job. If nobody did, a controller that lost its state has dropped it.
_LOST = "LOST"
_ENDED = frozenset(
    {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY", "PREEMPTED"}
    | {"REVOKED", _LOST}
)
# SLURM requeues these by itself, moments after it shows them as ended.
_MAY_RETURN = frozenset({"NODE_FAIL", "PREEMPTED", "BOOT_FAIL"})
_RETURN_SECONDS = 20
# SLURM could not start it and will not try again before somebody releases it: a node or its prolog was at fault.
_PUT_BACK = "put back and held"  # our words: SLURM's own are gone when its controller was restarted since
_STUCK = ("launch failed requeued held", "JobHoldMaxRequeue", _PUT_BACK)
# Why jobs wait that will start by themselves.
_ORDINARY = frozenset(
    {"", "None", "Priority", "Resources", "Dependency", "BeginTime", "JobArrayTaskLimit", "Licenses", "Reservation"}
    | {"Cleaning", "Prolog", "WaitingForScheduling"}
)
# One line a job, with a word at each end: a site's greeting is told from it, and so is a line that was cut off.
_BEGIN, _END = "job|", "|end"
_QUEUE_FORM = f"{_BEGIN}%F|%K|%T|%N|%e|%r|%j|%k{_END}"
_ACCOUNT_FIELDS = "JobID,State,NodeList,End,ReqMem,JobName,Comment"


@dataclass(frozen=True)
class JobKey:
    """By what a job, or an array of jobs, is known."""

    name: str  # with a random token
    number: str = ""  # SLURM's; empty: not yet known

    def owns(self, number: str, names: str) -> bool:
        """Whether a job is this one; `names`: what SLURM calls it, `name|comment`."""
        named = names.startswith(f"{self.name}|") or names.endswith(f"|{self.name}")
        return named and self.number in ("", number)


@dataclass(frozen=True)
class Job:
    """One job, or one task of an array."""

    id: str  # 123 or 123_4
    name: str  # by which we asked for it
    state: str
    node: str = ""  # empty: it never started
    ended: float | None = None  # seconds since 1970
    mem_mib: int | None = None  # asked for
    reason: str = ""  # why it waits, in SLURM's word

    @property
    def number(self) -> str:
        """Of the job or of its array."""
        return self.id.partition("_")[0]

    @property
    def task(self) -> int:
        """Its index in its array."""
        return int(self.id.partition("_")[2] or 0)

    @property
    def active(self) -> bool:
        """Whether it waits or runs, or may be put back to do so."""
        recent = self.ended is not None and time.time() - self.ended < _RETURN_SECONDS
        return self.state not in _ENDED or (self.state in _MAY_RETURN and recent)

    @property
    def stuck(self) -> bool:
        """Whether SLURM has put it aside, since it could not be started."""
        return self.state == "PENDING" and self.reason.startswith(_STUCK)

    @property
    def obstacle(self) -> str:
        """Why it waits, in SLURM's words, if that may not pass by itself."""
        return self.reason if self.state == "PENDING" and self.reason not in _ORDINARY else ""

    @property
    def accepted(self) -> bool:
        """Whether it is or was a job at all: SLURM keeps records of what it refused, as failed jobs without a node."""
        return self.active or bool(self.node)


def queue(keys: Iterable[JobKey], patience: Patience = ROUND) -> dict[str, Job]:
    """By id: those of these jobs that squeue knows.

    Raises:
        AblationError: SLURM cannot be asked, or its answer is not whole, so that nothing may be concluded.
    """
    found: dict[str, Job] = {}
    for chosen, by in _selections(keys):
        try:
            text = call(["squeue", "-h", "-r", "--states=all", *chosen, "-o", _QUEUE_FORM], patience)
        except AblationError as e:
            if "Invalid job id" in str(e):  # of a single number that it has forgotten
                continue
            raise
        found |= {job.id: job for job in _queued(text, by)}
    held = _put_back({job.number for job in found.values() if job.reason == "JobHeldAdmin"}, patience)
    return found | {id_: replace(found[id_], reason=f"{_PUT_BACK} ({found[id_].reason})") for id_ in held & set(found)}


def _put_back(numbers: Iterable[str], patience: Patience) -> set[str]:
    """Of jobs that seem to be held by an administrator, those that SLURM may have held itself: it put them back."""
    found = set()
    for number in numbers:  # one answer has all tasks of an array
        try:
            told = call(["scontrol", "show", "job", "-o", number], replace(patience, pauses=()))
        except AblationError:
            continue
        for line in told.splitlines():
            fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
            if fields.get("Reason") == "JobHeldAdmin" and fields.get("Restarts", "0") != "0":
                found.add(_id(number, fields.get("ArrayTaskId", "")))
    return found


def accounts(keys: Iterable[JobKey], since: float) -> dict[str, Job]:
    """By id: what the accounts say of these jobs, submitted after `since`; empty without accounts.

    The state is the worst of the job's and its steps': a step may be out of memory in a job that is only FAILED.
    """
    begin = datetime.fromtimestamp(since - 60).isoformat(timespec="seconds")
    found: dict[str, Job] = {}
    for chosen, by in _selections(keys):
        command = ["sacct", "-n", "-P", "-S", begin, *chosen, f"--format={_ACCOUNT_FIELDS}"]
        try:
            text = call(command, replace(ROUND, pauses=()))  # many clusters have none
        except AblationError:
            return {}
        for line in text.splitlines():
            _add_account(line, by, found)
    return found


def strays(prefix: str, known: Iterable[JobKey]) -> list[Job]:
    """This user's jobs that wait or run whose names begin so and that are none of the known.

    Raises:
        AblationError: SLURM cannot be asked.
    """
    keys = list(known)
    jobs = _lines(call(["squeue", "-h", "-r", "--me", "-o", _QUEUE_FORM]))
    return [
        Job(_id(number, task), names.partition("|")[0], state, node)
        for number, task, state, node, _, _, names in jobs
        if names.startswith(prefix) and not any(key.owns(number, names) for key in keys)
    ]


def job_state(job: str) -> str:
    """What squeue says of one job; empty if it cannot be asked or does not know it."""
    try:
        return call(["squeue", "-h", "-j", job, "-o", "%T"]).strip()
    except AblationError:
        return ""


def _selections(keys: Iterable[JobKey]) -> Iterator[tuple[list[str], Sequence[JobKey]]]:
    """What to ask for, as options of squeue and sacct, and whose jobs that may show."""
    listed = list(keys)
    numbers = {key.number: key for key in listed if key.number}
    for part in split_ids(list(numbers)):
        yield ["-j", ",".join(part)], [numbers[number] for number in part]
    if unknown := [key for key in listed if not key.number]:
        yield [f"--name={','.join(key.name for key in unknown)}"], unknown


def _queued(text: str, by: Sequence[JobKey]) -> Iterator[Job]:
    for number, task, state, node, end, reason, names in _lines(text):
        for key in by:
            if key.owns(number, names):
                yield Job(_id(number, task), key.name, state, node, _time(end), reason=reason)


def _lines(text: str) -> list[list[str]]:
    """The fields of squeue's lines; the last is `name|comment`."""
    lines = [line for line in text.splitlines() if line.startswith(_BEGIN)]
    fields = [line.removeprefix(_BEGIN).removesuffix(_END).split("|", 6) for line in lines if line.endswith(_END)]
    whole = not text or text.endswith("\n")
    if not whole or len(fields) < len(lines) or any(len(line) < 7 or not line[0].isdigit() for line in fields):
        raise AblationError(f"squeue: its answer is cut off or cannot be read: {text[-80:]!r}")
    return fields


def _id(number: str, task: str) -> str:
    return f"{number}_{task}" if task.isdigit() else number


def _add_account(line: str, by: Sequence[JobKey], found: dict[str, Job]) -> None:
    fields = line.split("|", 5)
    if len(fields) < 6:
        return
    id_, state, node, end, mem, names = fields
    whole, _, step = id_.partition(".")
    state = _LOST if state == "CANCELLED" and not step else _state(state)
    if step:
        if state == "OUT_OF_MEMORY" and whole in found:
            found[whole] = replace(found[whole], state=state)
        return
    for key in by:
        if key.owns(id_.partition("_")[0], names):
            node = "" if node.startswith("None") else node
            found |= {task: Job(task, key.name, state, node, _time(end), _mebibytes(mem)) for task in _tasks(id_)}


def _state(text: str) -> str:
    """Of `CANCELLED by 0`, or of `OUT_OF_ME+` where a site cuts fields off."""
    word = text.split()[0] if text.split() else ""
    cut = word.removesuffix("+")
    return next((state for state in sorted(_ENDED) if state.startswith(cut)), word) if cut != word and cut else word


def _time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:  # N/A, Unknown, None
        return None


def _mebibytes(text: str) -> int | None:
    """Of `2G`; older versions of sacct add whether it is for a node (n) or a processor (c)."""
    found = re.fullmatch(r"([\d.]+)([MGT])n?", text)
    return round(float(found[1]) * {"M": 1, "G": 1024, "T": 1024**2}[found[2]]) if found else None


def _tasks(id_: str) -> Iterator[str]:
    """`123_[4-6,9%2]`, as tasks that never started are shown, one by one."""
    found = re.fullmatch(r"(\d+)_\[([\d,-]+)(?:%\d+)?\]", id_)
    if not found:
        yield id_
        return
    for part in found[2].split(","):
        first, _, last = part.partition("-")
        yield from (f"{found[1]}_{k}" for k in range(int(first), int(last or first) + 1))
