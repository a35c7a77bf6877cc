"""The page of a table: complete, escaped, alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from ablation.errors import ConfigError
from ablation.track.client import connect
from results.page.page import write
from results.page.publish import home, publish
from results.read import runs
from results.tables.definition import Line
from results.tables.table import Table, build
from tests.results.frames import arm, frame, line, run, table
from tests.track.trials import mlflow_warns

EVIL = "<script>alert('&')</script>"
NOTHING = pd.DataFrame({"id": [], "seed": [], "epoch": [], "test_acc": []})


class Page(HTMLParser):
    """Tags, their attributes, and the text outside of styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for key, value in attrs if key in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.said += data


def odd() -> tuple[Table, pd.DataFrame]:
    lenet = Line("lenet", None, (0, 1), against="base", lacks="model=lenet: no such option")
    lines = [line(EVIL, id="evil", command="run.py 'aug=<b>'"), line("failing"), lenet]
    known = frame(
        arm("base", [90.0, 90.2, 90.1, 89.9], commit="c0ffee", torch="2.9"),
        arm("evil", [91.0, 91.3, 91.1, 91.0], commit="c0ffee", torch="3.0"),
        [run("failing", 0, 90.5), *(run("failing", n, status="FAILED", cause="oom") for n in (1, 2))],
    )
    return build(table(*lines), known), known


def test_the_page_has_everything_and_needs_nothing(tmp_path: Path) -> None:
    made, known = odd()
    files = write(made, known, NOTHING, tmp_path / "new")
    assert files[0].name == "lab_made.html"
    page = Page(files[0].read_text())
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(page.tags)
    assert page.sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    assert not re.search(r"url\(|@import|https?://", files[0].read_text())
    expected = [
        *(EVIL, "aug=<b>", "Made by hand", "90.05", "+1.05 [", "better", "90.20", "missing", "failed: oom"),
        *("360 of 360", "eeb1db75d2887405", "c0ffee", "3.0", "cpu (1 threads)", "bf16", "model=lenet: no such option"),
        *("oom, 2 trials: failing (seeds 1, 2)", "2 versions of torch", made.definition.command, *made.next),
    ]
    for text in expected:
        assert text in page.said.replace("\n", ""), text


def test_the_same_runs_are_the_same_bytes_and_old_pictures_go(tmp_path: Path) -> None:
    made, known = odd()
    one, two = write(made, known, NOTHING, tmp_path / "1"), write(made, known, NOTHING, tmp_path / "2")
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in two]
    assert (tmp_path / "1" / "lab_made-forest.svg").exists()
    lone = build(table(), frame())
    (page,) = write(lone, frame(), NOTHING, tmp_path / "1")
    assert [file.name for file in (tmp_path / "1").iterdir()] == [page.name]
    assert "No trial was recorded" in page.read_text()


@mlflow_warns
def test_a_report_in_mlflow_is_one_run_and_no_trial(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = connect(uri)
    there = client.create_experiment("it's", (tmp_path / "artifacts").as_uri())
    old, new = tmp_path / "old.png", tmp_path / "new.html"
    for file in (old, new):
        file.write_text(file.name)
    first = publish(uri, "it's", "lab/one", [old, new])
    new.write_text("changed")
    assert publish(uri, "it's", "lab/one", [new]) == first
    other = publish(uri, "it's", "lab/two", [old])
    assert {run.info.run_id for run in client.search_runs([there])} == {first, other}
    assert artifacts(client, first, tmp_path) == {"new.html": "changed"}
    assert artifacts(client, other, tmp_path) == {"old.png": "old.png"}
    assert runs(uri).empty
    with pytest.raises(ConfigError, match="no experiment nowhere to show a report in"):
        publish(uri, "nowhere", "lab/one", [new])


def artifacts(client: MlflowClient, run_id: str, scratch: Path) -> dict[str, str]:
    found = [file.path for file in client.list_artifacts(run_id)]
    (scratch / run_id).mkdir(exist_ok=True)
    return {path: Path(client.download_artifacts(run_id, path, str(scratch / run_id))).read_text() for path in found}


def test_a_report_is_shown_where_most_of_its_runs_are() -> None:
    assert home(pd.DataFrame({"sweep": ["b", "a", "b"]})) == "b"
    assert home(pd.DataFrame({"sweep": ["b", "a"]})) == "a"
    with pytest.raises(ConfigError, match="none of these arms is recorded"):
        home(pd.DataFrame({"sweep": []}))
