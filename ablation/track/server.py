"""What is wrong with an MLflow server: asked once, as MLflow's client would ask, and never waited for.

MLflow's own exceptions do not say it: an error of the server is a page of text about retries, a wrong password is
whatever stands between has to say. Here it is a line with the status and the way out.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from requests import Response

_PATIENCE = 3.0  # seconds
_USER, _PASSWORD, _TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
_LOG_IN = f"set {_TOKEN}, or {_USER} and {_PASSWORD}"
# With one of these MLflow asks in a way that is not imitated here: what would answer this question means nothing.
_OTHER_WAYS = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_WORKSPACE")
_REFUSED = {401: "it does not know who asks", 403: "who asks may not"}


def is_server(uri: str) -> bool:
    """Whether it is asked by HTTP."""
    return uri.lower().startswith(("http://", "https://"))


def without_password(text: str, uri: str) -> str:
    """A text in which a password that stands in the URI does not."""
    password = urlsplit(uri).password if is_server(uri) else None
    return text.replace(f":{password}@", ":***@") if password else text


def look(uri: str, experiment: str) -> tuple[str, Mapping[str, Any]]:
    """What is wrong with it, empty if nothing is known against it; and the experiment, if it has one of that name."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    # Not waited for beyond some seconds, whatever it does: it might send a byte now and then for ever.
    asking = Thread(target=lambda: found.append(_look(uri, experiment)), name="tracker", daemon=True)
    asking.start()
    asking.join(_PATIENCE + 1)
    return found[0] if found else (_late(), {})


def _look(uri: str, experiment: str) -> tuple[str, Mapping[str, Any]]:
    import requests  # only now: most trackers are files

    try:
        return _understood(_ask(uri, experiment))
    except requests.Timeout:
        return _late(), {}
    except (requests.RequestException, OSError, ValueError) as e:
        return f"cannot be reached ({_cause(e)}); start it, or name another by track.mlflow.uri", {}


def _late() -> str:
    limit = f"{os.environ['MLFLOW_HTTP_REQUEST_TIMEOUT']} s, MLFLOW_HTTP_REQUEST_TIMEOUT=SECONDS says how long"
    return f"did not answer within {_PATIENCE:g} s (an upload waits {limit}); see to the server"


def _ask(uri: str, experiment: str) -> Response:
    import requests

    return requests.get(
        f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(experiment, safe='')}",
        headers=_authorization(),
        timeout=_PATIENCE,
        verify=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or not _true("MLFLOW_TRACKING_INSECURE_TLS"),
        cert=os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"),
    )


def _authorization() -> dict[str, str]:
    """As MLflow's client does it; what stands in the URI or in ~/.netrc, requests sees to as it does for MLflow."""
    user, password = os.environ.get(_USER), os.environ.get(_PASSWORD)
    if not (user and password):
        kept = _kept()
        user, password = user or kept.get(_USER.lower()), password or kept.get(_PASSWORD.lower())
    if user and password:
        return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
    token = os.environ.get(_TOKEN)
    return {"Authorization": f"Bearer {token}"} if token else {}


def _kept() -> Mapping[str, str]:
    """What `~/.mlflow/credentials` says."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read(Path.home() / ".mlflow" / "credentials")
        return dict(parser["mlflow"]) if "mlflow" in parser else {}
    except (OSError, RuntimeError, ValueError, ConfigParserError):
        return {}


def _understood(answer: Response) -> tuple[str, Mapping[str, Any]]:
    if any(map(_true, _OTHER_WAYS)):
        return "", {}
    if (why := _REFUSED.get(answer.status_code)) is not None:
        given = [name for name in (_TOKEN, _USER, _PASSWORD) if name in os.environ]
        with_them = f" by {' and '.join(given)}" if given else ""
        return f"answers with error {answer.status_code}, {why}{with_them}: {_LOG_IN}", {}
    if answer.status_code not in (200, 404):
        return f"answers with error {answer.status_code}; see to the server", {}
    said = _said(answer)
    if isinstance(experiment := said.get("experiment"), dict) and "experiment_id" in experiment:
        return "", experiment
    if answer.status_code == 404 and "error_code" in said:  # no such experiment yet
        return "", {}
    return "what answers there is not MLflow, or wants one to log in first; name MLflow by track.mlflow.uri", {}


def _said(answer: Response) -> Mapping[str, Any]:
    try:
        said = json.loads(answer.content)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _cause(e: BaseException) -> str:
    """The first of a chain of exceptions, each of which tells all that came before at length."""
    while (inner := e.__cause__ or e.__context__) is not None:
        e = inner
    return " ".join(str(e).split())[:200] or type(e).__name__


def _true(name: str) -> bool:
    return os.environ.get(name, "").lower() not in ("", "0", "false")
