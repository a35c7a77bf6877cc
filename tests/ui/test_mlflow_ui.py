"""MLflow's own pages show the arms of a sweep so that they can be told apart and compared."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from ablation.track.client import connect
from tests.track.conftest import Server
from tests.track.trials import arms, mlflow_warns, runs
from tests.ui.conftest import Pages

pytestmark = mlflow_warns


@pytest.fixture(scope="module")
def client(server: Server) -> MlflowClient:
    return connect(server.uri)


@pytest.fixture(scope="module")
def both(client: MlflowClient) -> dict[str, Run]:
    """The runs of the arms, by name."""
    return {str(run.info.run_name): run for run in arms(client, "pair")}


def listed(run: Run, **query: str) -> str:
    """The page of its experiment."""
    asked = "&".join(f"{key}={quote(value)}" for key, value in query.items())
    return f"experiments/{run.info.experiment_id}/runs?{asked}"


def compared(runs: list[Run]) -> str:
    ids, experiments = json.dumps([run.info.run_id for run in runs]), json.dumps([runs[0].info.experiment_id])
    return f"compare-runs?runs={quote(ids)}&experiments={quote(experiments)}"


def test_the_sweep_is_there(client: MlflowClient, both: dict[str, Run]) -> None:
    assert sorted(both) == ["mixup", "no aug"]
    assert {run.info.status for run in both.values()} == {"FINISHED"}
    names = sorted(str(run.info.run_name) for run in runs(client, "pair"))
    assert names == ["s0 mixup", "s0 no aug", "s1 mixup", "s1 no aug"]


def test_the_experiment_shows_arms_with_their_seeds_inside(pages: Pages, both: dict[str, Run]) -> None:
    text = pages.open(listed(both["mixup"]), "mixup", "no aug", "digits", "6 matching runs")
    assert "s0 " not in text, "seeds are folded into their arms"
    pages.click("[role=gridcell][col-id*='Run Name'] button")
    pages.wait_for("s0 ", "s1 ")


def test_groups_can_be_columns(pages: Pages, both: dict[str, Run]) -> None:
    pages.open(listed(both["mixup"]), "mixup", "no aug")
    pages.click("[data-testid=column-selection-dropdown]")
    pages.choose("aug", last=True)  # the first is that among the parameters
    pages.wait_for_column("tags.`aug`", {"mixup", "none"})


def test_the_charts_are_named_by_arm(pages: Pages, both: dict[str, Run]) -> None:
    pages.open(listed(both["mixup"], compareRunsMode="CHART"), "mixup", "no aug", "result/best_test_acc")


def test_arms_compare_by_parameter_and_metric(pages: Pages, both: dict[str, Run]) -> None:
    pair = [both["no aug"], both["mixup"]]
    text = pages.open(compared(pair), "Comparing 2 Runs", "result/best_test_acc", "result/n")  # others are scrolled to
    assert "aug none mixup" in text.replace("\n", " ")
    assert "no aug" in text
    for key in ("result/best_test_acc", "result/n"):
        assert "\n".join(f"{run.data.metrics[key]:.4g}" for run in pair) in text


def test_seeds_compare_too(pages: Pages, client: MlflowClient) -> None:
    seeds = [run for run in runs(client, "pair") if run.data.tags["aug"] == "mixup"]
    pages.open(compared(seeds), "Comparing 2 Runs", "s0 mixup", "s1 mixup", "aug.mixup.alpha", "best_test_acc")


def test_groups_are_searched_by_their_tags(pages: Pages, both: dict[str, Run]) -> None:
    # Last: MLflow keeps the search for the next visit.
    query = "tags.aug = 'mixup' and tags.`ablation.kind` = 'arm'"
    assert "no aug" not in pages.open(listed(both["mixup"], searchFilter=query), "mixup", "1 matching run")
