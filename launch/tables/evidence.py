"""Runs that were committed with the code, for trackers that lack them: a fresh clone's notes have their runs."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ablation.errors import AblationError, ConfigError
from launch.compose.paths import ROOT
from launch.sweep import upload
from launch.sweep.membership import short_names_of

EVIDENCE = ROOT / "results" / "evidence"


def upload_missing(uri: str, ids: Collection[str], evidence: Path = EVIDENCE) -> int:
    """Upload the seeds of these arms in `evidence/<sweep>/<id>/seed-K` that the tracker lacks: how many those were.

    One that the tracker has whole, or from a training of somebody's own, is left alone. The tracker is asked first, so
    that this costs nothing where all is there. Files are copied, since a checkout may be read-only.

    Raises:
        AblationError: the tracker cannot be reached, or the files of a seed are damaged.
    """
    folders = sorted(p.parent for p in evidence.glob("*/*/seed-*/result.json") if p.parents[1].name in ids)
    wanted = _missing(uri, folders)
    if wanted:
        with TemporaryDirectory() as scratch:
            copies = [_copy(folder, Path(scratch)) for folder in wanted]
            titles = {
                id_: title for sweep in sorted(evidence.glob("*/")) for id_, title in short_names_of(sweep).items()
            }
            failed = [str(outcome) for outcome in upload.sync(Path(scratch), uri, copies, titles) if outcome.error]
        if failed:
            raise AblationError(f"{evidence}: cannot be uploaded to {uri}: {'; '.join(failed)}")
    return len(wanted)


def _missing(uri: str, folders: Sequence[Path]) -> list[Path]:
    """Those of which the tracker has no run, or one of this training that is not whole.

    Raises:
        AblationError: files are damaged.
    """
    from ablation.track.trial_files import load
    from results.read import runs

    try:
        frame = runs(uri, ids={folder.parent.name for folder in folders})
    except ConfigError:  # no database yet; uploading makes one, or says what is wrong with the URI
        return list(folders)
    recorded = {(row["id"], row["seed"]): (int(row["started"]), row["status"]) for row in frame.to_dict("records")}
    missing = []
    for folder in folders:
        started, status = recorded.get((folder.parent.name, int(folder.name.removeprefix("seed-"))), (None, ""))
        try:
            own = load(folder).started
        except (OSError, ValueError, LookupError) as e:
            raise AblationError(f"{folder}: is damaged ({type(e).__name__}: {e}); check it out again") from e
        if started is None or (started == own and status != "FINISHED"):
            missing.append(folder)
    return missing


def _copy(seed: Path, scratch: Path) -> Path:
    """A seed's folder inside a copy of its arm's, a sweep apart from others."""
    arm = scratch / seed.parents[1].name / seed.parent.name
    arm.mkdir(parents=True, exist_ok=True)
    for file in seed.parent.iterdir():
        if file.is_file():
            shutil.copyfile(file, arm / file.name)
    copied = Path(shutil.copytree(seed, arm / seed.name, copy_function=shutil.copyfile))
    for folder in (copied, *(path for path in copied.iterdir() if path.is_dir())):
        folder.chmod(0o755)  # `copytree` copies folders' modes, and uploading makes a lock
    return copied
