"""One trial's files in MLflow: all of it, once, whatever happened in between."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ablation.track.upload import upload
from tests.track.trials import (
    CHOSEN,
    METRICS,
    Training,
    arms,
    assert_each_point_once,
    mlflow_warns,
    runs,
    the_run,
    trial,
    value,
)

pytestmark = mlflow_warns


def test_a_finished_trial_is_all_there(client: MlflowClient, tmp_path: Path) -> None:
    Training(trial(tmp_path)).epochs(5).end()
    assert upload(client, tmp_path / "00deadbeef00cafe/seed-0") == 5 * len(METRICS) + 5
    run = the_run(client)
    assert run.info.run_name == "s0 aug=cutout+mixup"
    assert run.info.status == "FINISHED"
    assert run.data.params == {**CHOSEN, "optim.lr": "0.2", "epochs": "5"}
    expected = {
        "ablation.id": "00deadbeef00cafe",
        "ablation.seed": "0",
        "ablation.sweep": "main",
        "ablation.sweeps": "main",
        "ablation.kind": "trial",
        "ablation.name": "aug=cutout+mixup",
        "aug": "cutout+mixup",
        "regularizer": "none",
        "mlflow.source.git.commit": "0123abc",
        "ablation.device": "cpu",
        "ablation.data.pixels": "abc123",
    }
    assert expected.items() <= run.data.tags.items()
    assert_each_point_once(client, run, range(1, 6))
    assert run.data.metrics["result/best_test_acc"] == 99.5
    assert run.inputs is not None
    (images,) = run.inputs.dataset_inputs
    assert (images.dataset.name, images.dataset.digest) == ("digits", "abc123")
    assert [(tag.key, tag.value) for tag in images.tags] == [("mlflow.data.context", "train+test")]


def test_points_keep_the_time_of_their_journal(client: MlflowClient, tmp_path: Path) -> None:
    training = Training(folder := trial(tmp_path)).epochs(2)
    upload(client, folder)
    times = [
        round(1000 * json.loads(x)["time"]) for x in training.journal.path.read_text().splitlines() if '"epoch"' in x
    ]
    history = client.get_metric_history(the_run(client).info.run_id, "lr")
    assert [m.timestamp for m in sorted(history, key=lambda m: m.step)] == times


def test_artifacts_lie_beside_the_database(
    client: MlflowClient, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Training(folder := trial(tmp_path / "runs")).epochs(1).end()
    upload(client, folder)
    names = {f.path for f in client.list_artifacts(the_run(client).info.run_id)}
    assert names == {"config.yaml", "provenance.json", "attempt-1", "result.json"}
    assert len(list((tmp_path / "tracker" / "mlartifacts").rglob("config.yaml"))) == 1
    assert not os.listdir()


def test_twice_uploads_nothing(client: MlflowClient, tmp_path: Path) -> None:
    Training(folder := trial(tmp_path)).epochs(3).end()
    assert upload(client, folder) > 0
    before = the_run(client).to_dictionary()
    assert upload(client, folder) == 0
    assert the_run(client).to_dictionary() == before


def test_an_epoch_is_uploaded_once_a_checkpoint_covers_it(client: MlflowClient, tmp_path: Path) -> None:
    training = Training(folder := trial(tmp_path)).epochs(2).epochs(1, save=False)
    assert upload(client, folder) == 2 * len(METRICS)
    assert_each_point_once(client, the_run(client), [1, 2])
    training.journal.write("saved", step=33)
    assert upload(client, folder) == len(METRICS)
    assert the_run(client).info.status == "RUNNING"


def test_a_resume_that_trains_epochs_again_leaves_each_once(client: MlflowClient, tmp_path: Path) -> None:
    Training(folder := trial(tmp_path)).epochs(3).epochs(2, save=False).end("stopped", step=55)
    upload(client, folder)
    assert the_run(client).info.status == "KILLED"
    resumed = Training(folder, after=3).epochs(1)
    upload(client, folder)
    assert the_run(client).info.status == "RUNNING"
    resumed.epochs(2).end()
    upload(client, folder)
    assert the_run(client).info.status == "FINISHED"
    assert_each_point_once(client, the_run(client), range(1, 7))


def test_a_lost_checkpoint_doubles_nothing(client: MlflowClient, tmp_path: Path) -> None:
    Training(folder := trial(tmp_path)).epochs(4).journal.close()
    upload(client, folder)
    Training(folder, after=0).epochs(6).end()
    upload(client, folder)
    assert_each_point_once(client, the_run(client), range(1, 7))


def test_torn_lines_are_passed_over(client: MlflowClient, tmp_path: Path) -> None:
    training = Training(folder := trial(tmp_path)).epochs(2)
    with training.journal.path.open("ab") as file:
        file.write(b'{"event": "epoch", "epoch": 3, "st')
    upload(client, folder)
    Training(folder, after=2).epochs(2).end()
    upload(client, folder)
    assert_each_point_once(client, the_run(client), range(1, 5))


def test_a_thousand_epochs_in_one_go(client: MlflowClient, tmp_path: Path) -> None:
    Training(folder := trial(tmp_path)).epochs(1000).end()
    assert upload(client, folder) == 1000 * len(METRICS) + 5
    assert_each_point_once(client, the_run(client), range(1, 1001))


def test_a_failure_is_told_and_forgotten_when_made_good(client: MlflowClient, tmp_path: Path) -> None:
    Training(folder := trial(tmp_path)).epochs(1).end("failed", cause="diverged", message="loss is nan")
    upload(client, folder)
    assert the_run(client).info.status == "FAILED"
    assert {"ablation.cause": "diverged", "ablation.message": "loss is nan"}.items() <= the_run(
        client
    ).data.tags.items()
    Training(folder, after=1).epochs(1).end()
    upload(client, folder)
    assert the_run(client).info.status == "FINISHED"
    assert "ablation.cause" not in the_run(client).data.tags


def test_a_trial_is_not_finished_before_its_result_is_there(client: MlflowClient, tmp_path: Path) -> None:
    Training(folder := trial(tmp_path)).epochs(1).end("done")
    result = (folder / "result.json").read_text()
    (folder / "result.json").unlink()
    upload(client, folder)
    assert the_run(client).info.status == "RUNNING"
    (folder / "result.json").write_text(result)
    assert upload(client, folder) == 5
    assert the_run(client).data.metrics["result/best_test_acc"] == 99.5


def test_what_an_orphan_writes_late_is_not_uploaded(client: MlflowClient, tmp_path: Path) -> None:
    """The first attempt's process wakes up after the second has begun, trains on, and even writes a result."""
    orphan = Training(folder := trial(tmp_path)).epochs(2)
    successor = Training(folder, after=2).epochs(1)
    orphan.epochs(3).end()
    upload(client, folder)
    assert the_run(client).info.status == "RUNNING"
    assert_each_point_once(client, the_run(client), [1, 2, 3])
    successor.epochs(1).end()
    upload(client, folder)
    assert the_run(client).info.status == "FINISHED"
    assert the_run(client).data.metrics["result/attempt"] == 2
    assert_each_point_once(client, the_run(client), range(1, 5))


def test_seeds_and_sweeps_are_told_apart(client: MlflowClient, tmp_path: Path) -> None:
    for seed in (0, 1):
        Training(folder := trial(tmp_path / str(seed), seed=seed)).epochs(1).end()
        upload(client, folder)
    Training(folder := trial(tmp_path / "other", sweep="other")).epochs(1).end()
    upload(client, folder)
    assert {r.data.tags["ablation.seed"] for r in runs(client)} == {"0", "1"}
    assert the_run(client, "other").data.tags["ablation.seed"] == "0"


def test_parameters_of_any_length_name_and_number(client: MlflowClient, tmp_path: Path) -> None:
    odd = {"long": "x" * 9000, "a[0]": "", "list": [1, 2], "none": None, "é": "ü"}
    Training(folder := trial(tmp_path, params={**odd, **{f"p{i}": i for i in range(250)}})).epochs(1).end()
    upload(client, folder)
    params = the_run(client).data.params
    assert len(params) == 255 + len(CHOSEN)
    assert (params["long"], params["a_0_"], params["list"]) == ("x" * 6000, "", "[1, 2]")


def test_parameters_do_not_change_on_resume(client: MlflowClient, tmp_path: Path) -> None:
    Training(folder := trial(tmp_path)).epochs(1).journal.close()
    upload(client, folder)
    arm = json.loads((folder.parent / "arm.json").read_text())
    (folder.parent / "arm.json").write_text(json.dumps({**arm, "params": {"optim.lr": "0.20", "new": 1}}))
    Training(folder, after=1).epochs(1).end()
    upload(client, folder)
    assert the_run(client).data.params == {**CHOSEN, "optim.lr": "0.2", "epochs": "5", "new": "1"}


def test_a_ghost_of_a_create_that_timed_out_is_removed(client: MlflowClient, tmp_path: Path) -> None:
    Training(folder := trial(tmp_path)).epochs(2).journal.close()
    upload(client, folder)
    run = the_run(client)
    tags = {key: run.data.tags[key] for key in ("ablation.id", "ablation.seed")}
    client.create_run(run.info.experiment_id, tags=tags)
    upload(client, folder)
    assert the_run(client).info.run_id == run.info.run_id


@pytest.mark.parametrize("ended", [True, False])
def test_a_trial_trained_anew_has_a_run_of_its_own(client: MlflowClient, tmp_path: Path, ended: bool) -> None:
    """Its folder was moved away: what was measured the first time is not mixed with the second."""
    first = Training(folder := trial(tmp_path)).epochs(5)
    first.end() if ended else first.journal.close()
    upload(client, folder)
    old = the_run(client)
    folder.rename(moved := folder.with_name("seed-0-moved"))
    Training(folder, shift=100).epochs(3).end()
    upload(client, folder)
    assert upload(client, folder) == 0
    new = next(r for r in runs(client) if r.info.run_id != old.info.run_id)
    kept = next(r for r in runs(client) if r.info.run_id == old.info.run_id)
    assert len(runs(client)) == 2
    assert_each_point_once(client, new, range(1, 4), shift=100)
    assert_each_point_once(client, kept, range(1, 6))
    assert new.data.metrics["result/test_acc"] == value("test_acc", 3, 100)
    assert kept.data.tags["ablation.superseded_by"] == new.info.run_id
    assert kept.info.run_name == "s0 aug=cutout+mixup (superseded)"
    assert kept.info.status == ("FINISHED" if ended else "KILLED")
    assert "ablation.superseded_by" not in new.data.tags
    folder.rename(folder.with_name("seed-0-newer"))
    moved.rename(folder)
    upload(client, folder)
    assert len(runs(client)) == 2, "the first training is known by its start"
    assert "ablation.superseded_by" not in client.get_run(new.info.run_id).data.tags


def test_a_run_from_before_starts_were_told_is_the_trial_s(client: MlflowClient, tmp_path: Path) -> None:
    training = Training(folder := trial(tmp_path)).epochs(2)
    upload(client, folder)
    before = the_run(client)
    client.delete_tag(before.info.run_id, "ablation.started")
    training.epochs(1).end()
    upload(client, folder)
    run = the_run(client)
    assert (run.info.run_id, run.info.status) == (before.info.run_id, "FINISHED")
    assert run.data.tags["ablation.started"] == before.data.tags["ablation.started"]
    assert_each_point_once(client, run, range(1, 4))


class Crashing:
    """A client that dies at its n-th call, before or after the tracker has done it."""

    def __init__(self, client: MlflowClient, call: int, after: bool) -> None:
        self._client, self._left, self._after = client, call, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return self._crashing(method) if callable(method) else method

    def _crashing(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left < 0 and not self._after:
                raise KeyboardInterrupt
            result = method(*args, **kwargs)
            if self._left < 0:
                raise KeyboardInterrupt
            return result

        return call


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_call_loses_and_doubles_nothing(client: MlflowClient, tmp_path: Path, after: bool) -> None:
    Training(original := trial(tmp_path / "original")).epochs(60).end()
    for call in range(100):
        sweep = f"crash-{call}"
        folder = trial(tmp_path / sweep, sweep=sweep)
        shutil.copytree(original, folder, dirs_exist_ok=True)
        try:
            upload(Crashing(client, call, after), folder)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            upload(client, folder)
        else:
            break
        run = the_run(client, sweep)
        assert_each_point_once(client, run, range(1, 61))
        assert run.info.status == "FINISHED"
        assert run.data.params == {**CHOSEN, "optim.lr": "0.2", "epochs": "5"}
        assert len(client.get_metric_history(run.info.run_id, "result/best_test_acc")) == 1
        assert len(client.list_artifacts(run.info.run_id)) == 4
        assert run.inputs is not None
        assert len(run.inputs.dataset_inputs) == 1
        (arm,) = arms(client, sweep)
        assert run.data.tags["mlflow.parentRunId"] == arm.info.run_id
        assert (arm.info.status, arm.data.metrics["result/n"]) == ("FINISHED", 1)
        assert_each_point_once(client, arm, range(1, 61), metrics=METRICS[:3])
    assert 20 < call < 40
