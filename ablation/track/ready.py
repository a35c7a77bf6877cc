"""Can a tracker take what is to come? Asked before training, and without importing MLflow, which takes seconds.

A URI that MLflow can never take is refused. What may pass (a server that is down, an experiment in the bin) is only
told: trials are recorded in their own files, and `ablation sync` uploads them later.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from ablation.build import near
from ablation.track import server

SQLITE = "sqlite:///"
_SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks", "uc")
_PATIENCE = 3.0  # seconds
_LATER = "trials are kept in their files, and `ablation sync` uploads them later"
_NEW = "track.mlflow.uri=sqlite:///results/mlflow.db"


def database(uri: str) -> Path | None:
    """The file behind a `sqlite:///` URI, absolute; None for other trackers."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0]).absolute() if uri.startswith(SQLITE) else None


def where_to_look(uri: str) -> str:
    """What shows people a tracker: a server's own pages, or the command that makes some."""
    if server.is_server(uri):
        return server.without_password(uri, uri)
    return shlex.join(["mlflow", "ui", "--backend-store-uri", uri])


def check(uri: str) -> str:
    """The URI, if it is of a kind that MLflow takes.

    Raises:
        ValueError: it is not; with one that is.
    """
    if not isinstance(uri, str):
        raise ValueError(f"uri: {uri!r} is not text; say where MLflow is, such as {_NEW}")
    if not uri.strip():
        origin = "if it was not typed, it is from the variable MLFLOW_TRACKING_URI: unset that"
        raise ValueError(f"uri: is empty ({origin}); say where MLflow is, such as {_NEW}")
    scheme, colon, _ = uri.partition(":")
    scheme = scheme.partition("+")[0].lower()
    if uri in ("databricks", "uc"):
        return uri
    if not colon or scheme == "file":
        folder = urlsplit(uri).path if colon else uri
        keep = shlex.join(
            ["mlflow", "migrate-filestore", "--source", folder, "--target", "sqlite:///results/mlflow.db"]
        )
        raise ValueError(
            f"uri: {uri} is a folder of files, which MLflow gave up (if it was not typed, it is from the variable "
            f"MLFLOW_TRACKING_URI); type {_NEW}, or track=[] for none. What is in the folder is brought over by {keep}"
        )
    if scheme not in _SCHEMES:
        raise ValueError(f"uri: {uri}: MLflow knows no {scheme}; {near(scheme, _SCHEMES)} Or type {_NEW}")
    if scheme == "sqlite" and (not uri.startswith(SQLITE) or uri.rstrip("/") == SQLITE.rstrip("/")):
        raise ValueError(f"uri: {uri}: a file is named after three slashes, as in {_NEW} (four: from the root)")
    if scheme.startswith("http") and not urlsplit(uri).hostname:
        raise ValueError(f"uri: {uri}: names no host, as http://host:5000 does")
    return uri


def trouble(uri: str, experiment: str) -> str:
    """Why nothing could be recorded in this experiment now, and the way out; empty if nothing is known against it."""
    why = _fault(uri, experiment)
    return f"MLflow at {server.without_password(uri, uri)}: {why}; {_LATER}" if why else ""


def reason(uri: str, e: Exception) -> str:
    """Why MLflow raised this, in one line: what is wrong with the tracker, or else what MLflow said."""
    said = f"{type(e).__name__}: {' '.join(str(e).split())[:300]}"
    return _fault(uri) or server.without_password(said, uri)


def _fault(uri: str, experiment: str = "") -> str:
    """What is wrong with a tracker, or with this experiment of it; empty if nothing is known against them."""
    file = database(uri)
    try:
        if file is not None:
            return _of_file(file, uri, experiment)
        return _of_server(uri, experiment) if server.is_server(uri) else ""
    except (OSError, ValueError, sqlite3.Error) as e:
        return f"cannot be asked ({e})"


def _of_file(file: Path, uri: str, experiment: str) -> str:
    place = next(path for path in (file, *file.parents) if path.exists())
    if place != file and not place.is_dir():
        return f"{place} is a file and no folder; name another by track.mlflow.uri"
    for path in {file, file.parent} if place == file else {place}:
        if not os.access(path, os.W_OK):
            way = f"make it so (chmod u+w {shlex.quote(str(path))}), or name another file by track.mlflow.uri"
            return f"{path} may not be written; {way}"
    if place != file:
        return ""
    query = "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?"
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as opened:
        if not opened.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
            return ""
        found = opened.execute(query, (experiment,)).fetchone()
    return _binned(uri, experiment, str(found[0])) if found and found[1] == "deleted" else ""


def _of_server(uri: str, experiment: str) -> str:
    why, found = server.look(uri, experiment or "Default")
    binned = experiment and found.get("lifecycle_stage") == "deleted"
    return _binned(uri, experiment, found["experiment_id"]) if binned else why


def _binned(uri: str, experiment: str, number: str) -> str:
    back = f"MLFLOW_TRACKING_URI={shlex.quote(uri)} mlflow experiments restore --experiment-id {number}"
    return (
        f"the experiment {experiment!r} is in the bin, so that nothing can be recorded in it; "
        f"bring it back by {back}, or take another by sweep=NAME"
    )
