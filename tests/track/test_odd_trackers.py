"""Trackers that refuse, hang or break off: nobody waits for them, nothing is lost, and a line says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import pytest

from ablation.errors import ConfigError
from ablation.track.mlflow import mlflow
from ablation.track.ready import trouble
from launch import cli
from results.read import runs as read_runs
from tests.tiny import SMALL_MODEL, TINY
from tests.track.conftest import Server, free_port
from tests.track.odd import TOKEN, odd_tracker
from tests.track.trials import Training, assert_each_point_once, mlflow_warns, the_run, trial

pytestmark = mlflow_warns

LOG_IN = "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
SAID = {
    "experiment active": "",
    "experiment deleted": "bring it back by MLFLOW_TRACKING_URI={uri} mlflow experiments restore --experiment-id 3, or",
    "code 404": "",
    "code 401": f"answers with error 401, it does not know who asks: {LOG_IN}",
    "code 403": f"answers with error 403, who asks may not: {LOG_IN}",
    "code 429": "answers with error 429; see to the server",
    "code 500": "answers with error 500; see to the server",
    "code 503": "answers with error 503; see to the server",
    "page 200": "what answers there is not MLflow, or wants one to log in first",
    "page 404": "what answers there is not MLflow",
    "slow 30": "did not answer within 3 s",
    "hang": "did not answer within 3 s (an upload waits 10 s, MLFLOW_HTTP_REQUEST_TIMEOUT=SECONDS says how long)",
    "drip": "did not answer within 3 s",
    "cut": "cannot be reached (IncompleteRead(",
    "shut": "cannot be reached (Remote end closed connection without response)",
    "noise": "cannot be reached (SSH-2.0",
}


@pytest.fixture(autouse=True)
def nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in list(os.environ):
        if name.startswith("MLFLOW_TRACKING"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("mood", SAID)
def test_what_is_said_before_the_training(mood: str) -> None:
    began = time.monotonic()
    with odd_tracker(mood) as tracker:
        said, wanted = trouble(tracker.uri, "main"), SAID[mood].format(uri=tracker.uri)
    assert time.monotonic() - began < 10
    if not wanted:
        assert said == ""
        return
    assert said.startswith(f"MLflow at {tracker.uri}: ")
    assert wanted in said
    assert said.endswith("; trials are kept in their files, and `ablation sync` uploads them later")
    assert "\n" not in said


def test_a_server_that_is_down() -> None:
    assert "Connection refused); start it, or name another" in trouble(f"http://127.0.0.1:{free_port()}", "main")


def test_it_asks_as_mlflow_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with odd_tracker("experiment active") as tracker:

        def asked_by(**variables: str) -> str | None:
            with monkeypatch.context() as patch:
                for name, value in variables.items():
                    patch.setenv(f"MLFLOW_TRACKING_{name}", value)
                assert trouble(tracker.uri, "main") == ""
                return tracker.authorization

        basic = f"Basic {b64encode(b'me:secret').decode()}"
        assert asked_by() is None
        assert asked_by(TOKEN="sesame") == "Bearer sesame"
        assert asked_by(USERNAME="me", PASSWORD="secret", TOKEN="sesame") == basic
        kept = tmp_path / "home/.mlflow/credentials"
        kept.parent.mkdir(parents=True)
        kept.write_text("[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = secret\n")
        assert asked_by() == basic
        kept.write_text("no such file")
        assert trouble(tracker.uri.replace("//", "//me:secret@"), "main") == ""
        assert tracker.authorization == basic


def test_what_is_given_and_not_taken_is_named_and_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong")
    with odd_tracker("locked") as tracker:
        said = trouble(tracker.uri.replace("//", "//me:secret@"), "main")
        assert said.startswith(f"MLflow at {tracker.uri.replace('//', '//me:***@')}: answers with error 401")
        assert f"it does not know who asks by MLFLOW_TRACKING_TOKEN: {LOG_IN}" in said
        monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "a plug-in of MLflow")
        assert trouble(tracker.uri, "main") == "", "MLflow would ask in another way"


@pytest.mark.parametrize("mood", ["code 401", "code 500", "page 200", "cut", "shut"])
def test_what_a_training_could_not_upload_is_uploaded_later_once(mood: str, server: Server, tmp_path: Path) -> None:
    out, sweep = tmp_path / "runs", f"odd {mood}"
    Training(folder := trial(out, sweep=sweep)).epochs(3).end()
    with odd_tracker(mood, server.uri) as tracker:
        sink = mlflow(tracker.uri, interval=0.05)
        sink.follow(folder)
        (warning,) = sink.close()
        assert warning.startswith(f"mlflow: 12 points not uploaded to {tracker.uri}: {SAID[mood]}")
        assert warning.endswith(f"; run: ablation sync --out {out} --uri {tracker.uri}")
        tracker.mood = "good"
        assert cli.main(["sync", "--out", str(out), "--uri", tracker.uri]) == 0
    from ablation.track.client import connect

    client = connect(server.uri)
    assert_each_point_once(client, the_run(client, sweep), range(1, 4))


def test_sync_names_the_status_and_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        Training(trial(tmp_path / "runs", seed=seed)).epochs(3).end()
    with odd_tracker("locked") as tracker:
        assert cli.main(["sync", "--out", str(tmp_path / "runs"), "--uri", tracker.uri]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"cannot upload to MLflow at {tracker.uri}: answers with error 401")
    assert line.endswith(f"{LOG_IN}; the run folders are safe, try again later")


def test_a_table_from_a_tracker_that_refuses_says_so() -> None:
    with odd_tracker("locked") as tracker, pytest.raises(ConfigError, match=r"answers with error 401.*MLFLOW_TRACKING"):
        read_runs(tracker.uri)


def test_only_the_first_trial_of_a_process_waits_for_a_tracker_that_hangs(tmp_path: Path) -> None:
    waited = []
    with odd_tracker("hang") as tracker:
        for seed in range(3):
            sink = mlflow(tracker.uri, interval=0.05, timeout=3)
            sink.follow(folder := trial(tmp_path / "runs", seed=seed))
            Training(folder).epochs(1).end()
            began = time.monotonic()
            assert len(sink.close()) == 1
            waited.append(time.monotonic() - began)
    assert waited[0] >= 3
    assert max(waited[1:]) < 2


def test_who_was_asked_to_stop_does_not_wait_long(tmp_path: Path) -> None:
    with odd_tracker("hang") as tracker:
        sink = mlflow(tracker.uri, interval=0.05, timeout=60)
        sink.follow(folder := trial(tmp_path / "runs"))
        Training(folder).epochs(1).end("stopped", why="asked", step=11)
        began = time.monotonic()
        sink.close()
    assert time.monotonic() - began < 10


def test_a_run_here_with_a_tracker_that_is_locked(server: Server, tmp_path: Path) -> None:
    """The run's own messages, and the line they name with the token that was missing."""
    out, root = tmp_path / "runs", Path(__file__).parents[2]

    def typed(*line: str, **variables: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, *line], cwd=root, env=os.environ | variables, capture_output=True, text=True, timeout=120
        )
        return done.returncode, done.stdout + done.stderr

    with odd_tracker("locked", server.uri) as tracker:
        arm = [*TINY[:-2], *SMALL_MODEL, "sweep=locked", f"track.mlflow.uri={tracker.uri}", f"out={out}"]
        code, said = typed("launch/run.py", *arm)
        assert code == 0, said
        assert said.count(f"answers with error 401, it does not know who asks: {LOG_IN}") == 2, "before and after"
        assert f"compare     {tracker.uri}" in said
        assert "Traceback" not in said
        sync = ["-m", "launch", "sync", "--out", str(out)]
        assert typed(*sync)[0] == 1
        code, said = typed(*sync, MLFLOW_TRACKING_TOKEN=TOKEN)
    assert (code, said.splitlines()[-1].split()[1:5]) == (0, ["points", "of", "1", "trial"])
