"""Notes filled from real runs, and checked when runs, tables or the notes themselves have changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
from mlflow import MlflowClient

from ablation.errors import AblationError
from launch.cli import main
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import running
from launch.compose.overrides import search_paths
from launch.compose.paths import ROOT
from launch.sweep import upload
from launch.tables import evidence, notes
from launch.tables.request import parse_request
from tests.track.trials import mlflow_warns

pytestmark = mlflow_warns

TABLE = """# @package hydra.sweeper
title: A table of mine
rows:
  - {label: plain, overrides: []}
  - {label: cutout, overrides: aug=cutout, reported: {test_acc: 91.5}}
  - {label: mixup, overrides: aug=mixup}
"""
NOTE = """# Mine

Text <!-- of mine -->

<!-- table: mine BUDGET -->
<!-- end table -->

We saw <!-- finding: mine BUDGET | cutout --><!-- end finding -->.
"""


@dataclass(frozen=True)
class Desk:
    """A note, its table and the tracker with its runs."""

    folder: Path

    @property
    def note(self) -> Path:
        return self.folder / "note.md"

    @property
    def table(self) -> Path:
        return self.folder / "conf" / "table" / "mine.yaml"

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/mlflow.db"

    def budget(self, conf: Path) -> list[str]:
        return [*tiny.TINY, *tiny.SMALL_MODEL, "seeds=3", f"hydra.searchpath=[file://{conf}]"]

    def client(self) -> Any:
        from ablation.track.client import connect

        return connect(self.uri)

    def reasons(self, capsys: pytest.CaptureFixture[str]) -> list[str]:
        """What `check` has against the note, all blocks together."""
        capsys.readouterr()
        code = main(["check", str(self.note), "--uri", self.uri, "--json"])
        stale = json.loads(capsys.readouterr().out)["stale"]
        assert code == int(bool(stale))
        return [reason for block in stale for reason in block["reasons"]]


def fill(desk: Desk) -> int:
    """Every note of the folder, which is this one."""
    return main(["fill", str(desk.note.parent), "--uri", desk.uri])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Nine trainings, recorded, and a filled note."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.table.parent.mkdir(parents=True)
    desk.table.write_text(TABLE)
    budget = desk.budget(desk.folder / "conf")
    desk.note.write_text(NOTE.replace("BUDGET", " ".join(f"'{text}'" for text in budget)))
    out = desk.folder / "runs"
    for planned in arms(["table=mine", *budget]):
        planned.arm.write(out / planned.arm.id, planned.config)
        tiny.run(planned.config, out / planned.arm.id)
    assert [outcome.error for outcome in upload.sync(out, desk.uri)] == [""] * 9
    assert fill(desk) == 0
    return desk


def arms(arguments: list[str]) -> list[Planned]:
    with running():
        asked = parse_request(arguments)
        return compose_arms([row.overrides for row in asked.rows], search_paths(asked.hydra))


@pytest.fixture
def desk(trained: Desk, tmp_path: Path) -> Desk:
    """A copy to spoil. Its note still says where the first one's table is."""
    copy = Desk(tmp_path)
    for name in ("note.md", "mlflow.db"):
        shutil.copyfile(trained.folder / name, tmp_path / name)
    return copy


def test_a_note_is_filled_from_runs_and_filled_again_byte_for_byte(trained: Desk, desk: Desk) -> None:
    text = desk.note.read_text()
    assert text.startswith("# Mine\n\nText <!-- of mine -->\n\n<!-- table: mine ")
    assert "| cutout | 3 |" in text
    assert "against plain, 3 paired seeds" in text
    assert "3 epochs on 16 of 1437" in text
    before = desk.note.read_bytes()
    assert fill(desk) == 0
    assert desk.note.read_bytes() == before


def test_check_is_content_with_what_fill_wrote(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.reasons(capsys) == []


def test_an_edited_number_is_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    row = next(line for line in desk.note.read_text().splitlines() if line.startswith("| cutout"))
    desk.note.write_text(desk.note.read_text().replace(row, row.replace("| 91.50", "| 93.50")))
    (reason,) = desk.reasons(capsys)
    assert reason.startswith("it was edited, or filled by another version: its line ")
    assert "93.50" in reason


def test_a_lost_run_is_told_by_cell_and_seed(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    client = desk.client()
    runs = client.search_runs(
        [e.experiment_id for e in client.search_experiments()], "tags.`ablation.seed` = '2' and tags.aug = 'cutout'"
    )
    for run in runs:
        client.delete_run(run.info.run_id)
    assert len(runs) == 1
    reasons = desk.reasons(capsys)
    assert 'row "cutout" has lost seed 2' in reasons
    assert any(reason.startswith('row "cutout" had the mean ') for reason in reasons)
    assert main(["fill", str(desk.note), "--uri", desk.uri]) == 0
    assert "missing 1/3" in desk.note.read_text()
    assert desk.reasons(capsys) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text + "baseline: cutout\n", 'row "mixup" was compared with plain and is with cutout'),
        (lambda text: text.replace("91.5", "91.6"), "the file of the table has changed"),
        (
            lambda text: text.replace("aug=mixup", "aug=mixup optim.lr=0.07"),
            'row "mixup" has no runs any more: seeds 0, 1, 2 are gone',
        ),
        (lambda text: text.replace("aug=mixup", "aug=mixup optim.lr=0.07"), "its rows compose to other arms: "),
        (lambda text: text.replace("label: mixup", "label: mixing"), 'row "mixing" has runs now: seeds 0, 1, 2'),
    ],
)
def test_a_changed_table_is_told(
    desk: Desk, trained: Desk, capsys: pytest.CaptureFixture[str], change: Callable[[str], str], told: str
) -> None:
    desk.table.parent.mkdir(parents=True)
    desk.table.write_text(change(TABLE))
    desk.note.write_text(desk.note.read_text().replace(f"file://{trained.folder}/", f"file://{desk.folder}/"))
    assert any(reason.startswith(told) for reason in desk.reasons(capsys))


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("<!-- table: mien -->\n<!-- end table -->", "note.md:1: table=mien: no such option"),
        (
            "<!-- table: start sedes=3 -->\n<!-- end table -->",
            "note.md:1: with sedes=3 no row of start can be composed: sedes: no such key",
        ),
        ("<!-- table: start seeds -->\n<!-- end table -->", "note.md:1: seeds: is not an override"),
        (
            "\nx <!-- finding: start | cutuot --><!-- end finding -->",
            "note.md:2: start has no row cutuot; did you mean cutout",
        ),
        ("<!-- table: start -->", "note.md:1: the table that begins here does not end"),
    ],
)
def test_what_a_marker_names_wrongly_is_2_with_file_and_line(
    desk: Desk, capsys: pytest.CaptureFixture[str], marker: str, told: str
) -> None:
    desk.note.write_text(marker)
    assert fill(desk) == 2
    assert told in capsys.readouterr().err
    assert desk.note.read_text() == marker


def test_evidence_is_brought_to_a_tracker_that_lacks_it_and_once(tmp_path: Path) -> None:
    uri, arm = f"sqlite:///{tmp_path}/mlflow.db", "9510d170f3368374"
    assert evidence.upload_missing(uri, {arm}) == len(list(evidence.EVIDENCE.glob(f"*/{arm}/seed-*/result.json"))) > 0
    assert evidence.upload_missing(uri, {arm}) == 0
    before = sorted(p for p in evidence.EVIDENCE.rglob("*") if p.name.startswith("."))
    assert before == []  # nothing is written beside what is committed
    # a run of one's own is left alone
    client = MlflowClient(uri)
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(everywhere, f"tags.`ablation.id` = '{arm}' and tags.`ablation.seed` = '1'")
    client.set_tag(run.info.run_id, "ablation.started", "1")  # begun before the one that is committed
    assert evidence.upload_missing(uri, {arm}) == 0
    name = run.info.run_name or ""
    assert name == "s1 mixup alpha=0.3", "short, as among the arms of its sweep"


def test_a_note_that_is_written_while_it_is_filled_is_left_alone(desk: Desk) -> None:
    desk.note.write_text(desk.note.read_text().replace("| cutout | 3 |", "| cutout | 4 |"))
    (made,) = notes.fill([desk.note], desk.uri)
    assert made.changed
    desk.note.write_text("Meanwhile")
    with pytest.raises(AblationError, match="was changed while it was filled"):
        made.write()
    assert desk.note.read_text() == "Meanwhile"


def test_a_note_without_markers_cannot_be_checked(desk: Desk) -> None:
    desk.note.write_text("Nothing to see")
    assert main(["check", str(desk.note), "--uri", desk.uri]) == 2


@pytest.mark.parametrize(
    "some", [["start.md", "mixup.md"], pytest.param([], marks=pytest.mark.slow)], ids=["two", "all"]
)
def test_the_notes_say_what_the_committed_evidence_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], some: list[str]
) -> None:
    paths = [str(ROOT / "results" / "notes" / name) for name in some]
    code = main(["check", *paths, "--uri", f"sqlite:///{tmp_path}/mlflow.db"])
    assert code == 0, capsys.readouterr().out
