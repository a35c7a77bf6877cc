"""Upload to MLflow what it lacks of trials: for `ablation sync`, and for launchers whose trials could not do so.

Trials upload themselves while they are trained. What a dead tracker missed is in their journals, so that any of these
functions may be called as often as you like: what MLflow has already is not uploaded again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.store import attempt
from ablation.track.ready import SQLITE, database, reason, trouble
from ablation.track.server import without_password
from ablation.track.trial_files import SWEEPS, Expected
from launch.compose.arm import Work
from launch.compose.errors import plural
from launch.compose.overrides import verb_command
from launch.sweep.earlier_arms import EarlierArms
from launch.sweep.lookup import Archive
from launch.sweep.membership import short_names_of
from launch.sweep.submission import Submission

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Uploaded:
    """What became of one trial: points uploaded now, or the error."""

    trial: str  # <id>/seed-K
    points: int = 0
    error: str = ""
    uri: str = ""  # of the tracker; empty if the trial's configuration is lost

    def __str__(self) -> str:
        return f"{self.trial}: {self.error or f'{self.points} points'}"


def sync(
    out: Path,
    uri: str | None = None,
    folders: Iterable[Path] | None = None,
    titles: Mapping[str, str] | None = None,
    expected: Expected | None = None,
) -> Iterator[Uploaded]:
    """Upload what trackers lack of every trial under `out`, or of these seeds' folders, one after the other.

    All go to the tracker at `uri`; without one each goes to that of its configuration, and those without stay away.
    `titles` are short names of arms by id; by default those that tell the arms under `out` apart. `expected`: see
    `launch.backends.expected`; without it all that has not ended is.

    Raises:
        AblationError: at the end, if trackers could not be reached.
    """
    if folders is None:
        folders = {journal.parents[1] for journal in out.glob("*/seed-*/attempt-*/journal.jsonl")}
    begun, trouble = sorted(folders), []
    if titles is None:
        titles = {} if all((folder.parent / SWEEPS).exists() for folder in begun) else short_names_of(out)
    for tracker_uri, its_folders in ({uri: begun} if uri else _by_tracker(out, begun)).items():
        try:
            yield from _upload_all(tracker_uri, its_folders, titles, expected)
        except AblationError as e:
            trouble.append(str(e))
    if trouble:
        raise AblationError("; ".join(trouble))


def upload_news(out: Path, folders: Sequence[Path]) -> None:
    """Bring what is new of trials that were done before, such as another sweep that asked; a failure is a note."""
    if not folders:
        return
    try:
        trouble = [str(outcome) for outcome in sync(out, folders=folders) if outcome.error]
    except AblationError as e:
        trouble = [str(e)]
    if trouble:
        again = verb_command("sync", out)
        print(f"note: MLflow lacks news of trials done before: {trouble[0]}; run: {again}", file=sys.stderr)


def upload_end(submission: Submission, folders: Sequence[Path], expected: Expected, seconds: float) -> None:
    """Once a driver has ended: upload what its trials could not, and that nobody begins the others any more.

    That is tried once, for at most so many seconds, since a tracker that is silent must not keep a shell; what is not
    uploaded is a note.
    """
    if not any(tracker(planned.config, submission.cwd) for planned in submission.arms.values()) or not folders:
        return
    uploaded, trouble = list[Uploaded](), list[str]()

    def work() -> None:
        try:
            uploaded.extend(sync(submission.out, folders=folders, expected=expected))
        except AblationError as e:
            trouble.append(str(e))

    thread = Thread(target=work, name="upload", daemon=True)
    try:
        import_module("ablation.track.upload")  # first: MLflow takes a while where others compute, which is no silence
        thread.start()
        thread.join(seconds)
        trouble += [str(each) for each in uploaded if each.error]
        if thread.is_alive():
            trouble = [f"it has not taken all within {seconds:g} s"]
    except KeyboardInterrupt:  # all is saved, and the sweep has ended
        trouble = ["you did not wait for it"]
    points = sum(each.points for each in uploaded)
    if trouble:
        again = verb_command("sync", submission.out)
        print(f"note: MLflow may lack something of these trials: {trouble[0]}; run: {again}", file=sys.stderr)
    elif points:
        print(f"note: MLflow has them now: {plural(points, 'point')} that trials could not upload", file=sys.stderr)


def upload_submission(submission: Submission, expected: Expected) -> list[str]:
    """Upload what a submission's jobs left alone, see `offline`, or could not bring to a server.

    Returns what went wrong, a line each, with the way out: later calls make it good.
    """
    by_uri: dict[str, list[Path]] = {}
    for work in submission.works:
        if uri := tracker(submission.arms[work.id].config, submission.cwd):
            by_uri.setdefault(uri, []).extend(_begun(submission, work, live=bool(database(uri))))
    trouble = []
    for uri, folders in by_uri.items():
        try:
            trouble += [str(o) for o in sync(submission.out, uri, folders, expected=expected) if o.error]
        except AblationError as e:
            trouble.append(str(e))
    return [f"{each}; run: {verb_command('sync', submission.out)}" for each in trouble]


def offline(submission: Submission) -> bool:
    """Whether the jobs of this submission are to leave MLflow alone, as they do if it is an SQLite file.

    Such a file does not bear many nodes writing to it through a network file system. Whoever makes the next round
    uploads instead. To a server the jobs upload live, and whoever makes the next round what they could not.
    """
    return any(_database(submission, arm) for arm in submission.arms)


def tracker(config: Mapping[str, Any], cwd: Path) -> str:
    """The MLflow of a configuration that is run in `cwd`, an SQLite file's path made absolute; empty if it has none."""
    uri = str(config["track"].get("mlflow", {}).get("uri", "")) if config["track"] else ""
    return f"{SQLITE}{cwd / uri.removeprefix(SQLITE)}" if database(uri) else uri


def tracker_problems(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Why the trackers of these configurations cannot record them, a sentence each, to be printed before the run."""
    trackers = {(tracker(config, Path.cwd()), str(config["sweep"])): None for config in configs}
    return [problem for uri, sweep in trackers if uri and (problem := trouble(uri, sweep))]


def _by_tracker(out: Path, folders: Iterable[Path]) -> dict[str, list[Path]]:
    """Seeds' folders by their trackers' URIs; "" has those whose configuration is lost."""
    submitted = {id_: (p.config, s.cwd) for s in Archive(out).submissions for id_, p in s.arms.items()}
    by_uri: dict[str, list[Path]] = {}
    earlier = EarlierArms(out)
    for folder in folders:
        config, cwd = submitted.get(folder.parent.name) or (earlier.config(folder.parent), Path.cwd())
        if config is None or not isinstance(config.get("track"), Mapping):
            by_uri.setdefault("", []).append(folder)
        elif uri := tracker(config, cwd):
            by_uri.setdefault(uri, []).append(folder)
    return by_uri


def _database(submission: Submission, arm: str) -> str:
    """The URI of an arm's SQLite file, its path absolute; empty if the arm has another tracker, or none."""
    uri = tracker(submission.arms[arm].config, submission.cwd)
    return uri if database(uri) else ""


def _begun(submission: Submission, work: Work, live: bool) -> list[Path]:
    """Seeds' folders that have something to tell; without `live` those that are trained now tell it themselves."""
    folders = [submission.out / work.id / f"seed-{seed}" for seed in work.seeds]
    lease = float(submission.arms[work.id].config["lease"])
    newest = {folder: attempt.folder(folder, attempt.latest(folder)) for folder in folders if attempt.latest(folder)}
    return [folder for folder, own in newest.items() if live or not attempt.live(own, lease)]


def _upload_all(
    uri: str, folders: Iterable[Path], titles: Mapping[str, str], expected: Expected | None
) -> Iterator[Uploaded]:
    """Upload these seeds' folders to one tracker."""
    if not folders:
        return
    if not uri:
        for folder in folders:
            yield Uploaded(_label(folder), error="its config.yaml is missing or damaged: name its tracker with --uri")
        return
    client = _reach(uri)
    for folder in folders:
        outcome = replace(_upload(client, folder, titles.get(folder.parent.name, ""), expected), uri=uri)
        yield outcome
        if outcome.error:
            _reach(uri)  # if the tracker is gone, say so at once instead of waiting for it at every trial


def _reach(uri: str) -> MlflowClient:
    from ablation.track.client import connect  # MLflow takes more than a second: `--help` and typos need not wait

    try:
        return connect(uri)
    except Exception as e:
        safe = "the run folders are safe, try again later"
        raise AblationError(f"cannot upload to MLflow at {without_password(uri, uri)}: {reason(uri, e)}; {safe}") from e


def _upload(client: MlflowClient, folder: Path, title: str, expected: Expected | None) -> Uploaded:
    from ablation.track.upload import upload

    trial = _label(folder)
    try:
        return Uploaded(trial, points=upload(client, folder, title, expected))
    except Exception as e:  # one broken folder must not keep the others from being uploaded
        return Uploaded(trial, error=_one_line(e))


def _label(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def _one_line(e: Exception) -> str:
    kind = "" if isinstance(e, AblationError) else f"{type(e).__name__}: "
    return f"{kind}{' '.join(str(e).split())[:300]}"
