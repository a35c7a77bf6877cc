"""The run of an arm above the runs of its seeds: right after any order of uploads, and once."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from statistics import mean, stdev

import pytest
from mlflow import MlflowClient

from ablation.track.upload import upload
from tests.track.trials import CHOSEN, Training, arms, assert_each_point_once, every, mlflow_warns, runs, trial, value

pytestmark = mlflow_warns

CURVES = ("train_loss", "train_acc", "test_acc")


def seeds(out: Path, number: int, asked: int | None = None) -> list[Path]:
    """Seed folders of one arm; what is measured is higher by the seed's number."""
    first = trial(out)
    (first.parent / "sweeps").mkdir()
    ask(first.parent, "main", asked or number)
    folders = [first.with_name(f"seed-{k}") for k in range(number)]
    for folder in folders[1:]:
        folder.mkdir()
    return folders


def ask(arm: Path, sweep: str, number: int) -> None:
    (arm / "sweeps" / f"{sweep}.json").write_text(json.dumps({"name": "cutout+mixup", "seeds": [*range(number)]}))


def end(folder: Path, epochs: int = 2) -> None:
    Training(folder, shift=float(folder.name[5:])).epochs(epochs).end()


def test_mean_deviation_and_number_over_the_seeds(client: MlflowClient, tmp_path: Path) -> None:
    folders = seeds(tmp_path, 3)
    for folder in folders:
        end(folder)
        upload(client, folder)
    (arm,) = arms(client)
    scores = [value("test_acc", 2, shift) for shift in range(3)]
    assert arm.info.run_name == "cutout+mixup"
    assert [run.info.run_name for run in runs(client)] == [f"s{k} cutout+mixup" for k in (2, 1, 0)]
    assert arm.info.status == "FINISHED"
    assert arm.info.end_time == max(run.info.end_time for run in runs(client))
    assert arm.data.metrics["result/n"] == 3
    assert arm.data.metrics["result/test_acc"] == pytest.approx(mean(scores))
    assert arm.data.metrics["result/test_acc_std"] == pytest.approx(stdev(scores), rel=1e-3)
    assert arm.data.params == {**CHOSEN, "optim.lr": "0.2", "epochs": "5"}
    assert {"ablation.kind": "arm", "aug": "cutout+mixup"}.items() <= arm.data.tags.items()
    assert {run.data.tags["mlflow.parentRunId"] for run in runs(client)} == {arm.info.run_id}
    assert_each_point_once(client, arm, [1, 2], shift=1.0, metrics=CURVES)


def test_any_order_and_any_state_on_the_way_come_to_the_same(client: MlflowClient, tmp_path: Path) -> None:
    """With every order of the seeds, some seen while they run, the arm says the same in the end."""
    said = []
    for number, order in enumerate(itertools.permutations(range(3))):
        folders = seeds(tmp_path / str(number), 3)
        (arm_json := folders[0].parent / "arm.json").write_text(
            json.dumps({**json.loads(arm_json.read_text()), "sweep": f"s{number}"})
        )
        for k in order:
            training = Training(folders[k], shift=k).epochs(1)
            if k != 1:
                upload(client, folders[k])
                assert arms(client, f"s{number}")[0].info.status == "RUNNING"
            training.epochs(1).end()
            upload(client, folders[k])
        (arm,) = arms(client, f"s{number}")
        assert_each_point_once(client, arm, [1, 2], shift=1.0, metrics=CURVES)
        said.append((arm.info.status, arm.data.metrics))
    assert all(other == said[0] for other in said)


def test_again_changes_nothing(client: MlflowClient, tmp_path: Path) -> None:
    folders = seeds(tmp_path, 2)
    for folder in folders:
        end(folder)
        upload(client, folder)
    before = [run.to_dictionary() for run in every(client)]
    assert [upload(client, folder) for folder in folders] == [0, 0]
    assert [run.to_dictionary() for run in every(client)] == before


def test_it_runs_until_every_seed_asked_for_has_ended(client: MlflowClient, tmp_path: Path) -> None:
    folders = seeds(tmp_path, 2, asked=3)
    end(folders[0])
    Training(folders[1]).epochs(1).end("failed", cause="diverged", message="loss is nan")
    for folder in folders:
        upload(client, folder)
    assert [(arm.info.status, arm.info.end_time) for arm in arms(client)] == [("RUNNING", None)]
    ask(folders[0].parent, "main", 2)
    upload(client, folders[0])
    (arm,) = arms(client)
    assert (arm.info.status, arm.data.metrics["result/n"]) == ("FAILED", 1)
    Training(folders[1], after=1, shift=1.0).epochs(1).end()
    upload(client, folders[1])
    (arm,) = arms(client)
    assert (arm.info.status, arm.data.metrics["result/n"]) == ("FINISHED", 2)


def test_what_nobody_trains_and_nobody_is_to_begin_was_killed(client: MlflowClient, tmp_path: Path) -> None:
    folders = seeds(tmp_path, 3)
    end(folders[0])
    upload(client, folders[0])
    assert arms(client)[0].info.status == "RUNNING", "two seeds are to come"
    upload(client, folders[0], expected=lambda id_, seed: seed == 2)
    assert arms(client)[0].info.status == "RUNNING", "one seed is to come"
    upload(client, folders[0], expected=lambda id_, seed: False)
    (arm,) = arms(client)
    assert (arm.info.status, arm.info.end_time) == ("KILLED", runs(client)[0].info.end_time)
    assert arm.data.metrics["result/n"] == 1

    training = Training(folders[1], shift=1.0).epochs(1)
    upload(client, folders[1])
    assert arms(client)[0].info.status == "RUNNING", "somebody has begun the next"
    upload(client, folders[1], expected=lambda id_, seed: False)
    assert {run.info.run_name: run.info.status for run in every(client)} == {
        "s0 cutout+mixup": "FINISHED",
        "s1 cutout+mixup": "KILLED",  # its process has died
        "cutout+mixup": "KILLED",
    }
    training.epochs(1).end()
    end(folders[2])
    for folder in folders:
        upload(client, folder)
    assert {run.info.status for run in every(client)} == {"FINISHED"}


def test_more_seeds_later_are_in_the_mean_and_its_curves(client: MlflowClient, tmp_path: Path) -> None:
    folders = seeds(tmp_path, 3, asked=2)
    for folder in folders:
        if folder == folders[2]:
            ask(folder.parent, "more", 3)
        end(folder)
        upload(client, folder)
    (arm,) = arms(client)
    assert arm.data.metrics["result/n"] == 3
    assert_each_point_once(client, arm, [1, 2], shift=1.0, metrics=CURVES)
    assert {run.data.tags["mlflow.parentRunId"] for run in runs(client)} == {arm.info.run_id}
    assert arm.data.tags["ablation.sweeps"] == "main,more"


def test_a_superseded_training_does_not_count(client: MlflowClient, tmp_path: Path) -> None:
    (folder,) = seeds(tmp_path, 1)
    end(folder)
    upload(client, folder)
    folder.rename(folder.with_name("seed-0-moved"))
    training = Training(folder, shift=100).epochs(1)
    upload(client, folder)
    (arm,) = arms(client)
    assert (arm.info.status, arm.data.metrics["result/n"]) == ("RUNNING", 0)
    assert math.isnan(arm.data.metrics["result/test_acc"])
    training.epochs(2).end()
    upload(client, folder)
    (arm,) = arms(client)
    assert arm.data.metrics["result/test_acc"] == pytest.approx(value("test_acc", 3, 100))
    assert_each_point_once(client, arm, [1, 2, 3], shift=100, metrics=CURVES)


def test_different_images_have_no_mean(client: MlflowClient, tmp_path: Path) -> None:
    folders = seeds(tmp_path, 2)
    for folder in folders:
        end(folder)
    result = json.loads((folders[1] / "result.json").read_text())
    (folders[1] / "result.json").write_text(json.dumps({**result, "data": {"name": "digits", "pixels": "other"}}))
    for folder in folders:
        upload(client, folder)
    (arm,) = arms(client)
    assert arm.data.tags["ablation.mixed"] == "data.pixels: abc123, other"
    assert math.isnan(arm.data.metrics["result/test_acc"])
    assert arm.data.metrics["result/n"] == 2
    assert client.get_metric_history(arm.info.run_id, "test_acc") == []


def test_runs_from_before_there_were_arms_get_one(client: MlflowClient, tmp_path: Path) -> None:
    """As they were: no kind, no name, no group among the parameters, nothing above them."""
    folders = seeds(tmp_path, 2)
    for folder in folders:
        end(folder)
        upload(client, folder)
    client.delete_run(arms(client)[0].info.run_id)
    for run in runs(client):
        for tag in ("ablation.kind", "ablation.name", "ablation.sweeps", "mlflow.parentRunId"):
            client.delete_tag(run.info.run_id, tag)
        client.update_run(run.info.run_id, name="aug=cutout+mixup seed=0")
    for folder in folders:
        assert upload(client, folder) == 0
    (arm,) = arms(client)
    assert arm.data.metrics["result/n"] == 2
    for run in runs(client):
        assert run.data.tags["mlflow.parentRunId"] == arm.info.run_id
        assert run.data.tags["ablation.kind"] == "trial"
        assert run.info.run_name == f"s{run.data.tags['ablation.seed']} cutout+mixup"


def test_a_ghost_of_a_create_is_removed(client: MlflowClient, tmp_path: Path) -> None:
    (folder,) = seeds(tmp_path, 1)
    end(folder)
    upload(client, folder)
    (arm,) = arms(client)
    tags = {key: arm.data.tags[key] for key in ("ablation.id", "ablation.kind")}
    client.create_run(arm.info.experiment_id, tags=tags)
    upload(client, folder)
    assert len(arms(client)) == 1
    assert runs(client)[0].data.tags["mlflow.parentRunId"] == arms(client)[0].info.run_id


def test_folders_from_before_sweeps_were_noted_ask_for_what_their_configuration_says(
    client: MlflowClient, tmp_path: Path
) -> None:
    folder = trial(tmp_path)
    (folder.parent / "config.yaml").write_text("seeds: 2\n")
    end(folder)
    upload(client, folder)
    assert arms(client)[0].info.status == "RUNNING"
    (second := folder.with_name("seed-1")).mkdir()
    end(second)
    upload(client, second)
    (arm,) = arms(client)
    assert (arm.info.status, arm.data.metrics["result/n"]) == ("FINISHED", 2)
    assert arm.inputs is not None
    assert [used.dataset.name for used in arm.inputs.dataset_inputs] == ["digits"]
