"""What is known of the code, and what is said where git does not tell."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.compose.paths import ROOT
from launch.sweep import provenance, snapshot
from launch.sweep.provenance import commit_of
from tests.launch.handmade import finish, make, seed_folder, start, sweep
from tests.launch.test_cli_verbs import asked, said


def git(place: Path, *arguments: str) -> str:
    line = ["git", "-c", "user.email=a@b", "-c", "user.name=A", *arguments]
    return subprocess.run(line, cwd=place, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "checkout"
    place.mkdir()
    (place / "file.py").write_text("X = 1\n")
    git(place, "init", "-q")
    git(place, "add", ".")
    git(place, "commit", "-qm", "one")
    return place


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    provenance.source.cache_clear()
    yield
    provenance.source.cache_clear()


def test_a_commit_is_found_detached_and_in_a_shallow_clone_too(repository: Path, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-q", "--detach")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    assert commit_of(repository, "file.py") == commit_of(tmp_path / "shallow", "file.py") == (head, "")


def test_why_there_is_no_commit_is_said(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = repository / "unpacked"
    unpacked.mkdir()
    (unpacked / "file.py").write_text("X = 1\n")
    assert "is not in the git repository that it lies in" in commit_of(unpacked, "file.py")[1]
    (tmp_path / "tarball").mkdir()
    assert "is in no git repository" in commit_of(tmp_path / "tarball", "file.py")[1]
    git(tmp_path / "tarball", "init", "-q")
    assert "without a commit" in commit_of(tmp_path / "tarball", "file.py")[1]
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as in a container that mounts somebody's checkout
    commit, why = commit_of(repository, "file.py")
    assert commit is None
    assert f"git does not trust {repository}, which belongs to another user" in why
    assert f"git config --global --add safe.directory {repository}" in why
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(repository, "file.py") == (None, f"the commit of {repository} is not known: git is not installed")


def test_without_git_a_digest_of_the_sources_is_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    facts = provenance.source()
    assert (facts["commit"], facts["diff"], len(facts["sources"])) == (None, None, 16)
    assert provenance.notes() == [f"{facts['note']}; kept instead: a digest of the sources, {facts['sources']}"]
    made = sweep(tmp_path, "epochs=2")
    make(seed_folder(made, 0), 1, start())
    finish(seed_folder(made, 0))
    (id_,) = made.arms
    assert asked(capsys, made, "explain", id_)[1]["code"][0]["commit"] is None
    assert f"git is not installed; digest of the sources {facts['sources']}" in said(capsys, made, "explain", id_)[1]


def test_a_package_of_the_user_s_own_is_known_by_its_commit_and_its_changes(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "known_by_git.py").write_text("def trick():\n    return lambda batch, key: batch\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "two")
    monkeypatch.syspath_prepend(str(repository))
    made = sweep(tmp_path / "out", "+aug.mine._target_=known_by_git.trick")
    (mine,) = [
        part
        for part in snapshot.describe_user_modules([p.config for p in made.arms.values()])
        if part["name"] == "known_by_git"
    ]
    assert (mine["commit"], mine["changed"]) == (git(repository, "rev-parse", "HEAD"), [])
    kept = json.loads((made.folder / provenance.SOURCE).read_text())["own"]
    assert mine in kept
    (id_,) = made.arms
    assert (
        f"known_by_git at {repository / 'known_by_git.py'}: commit {mine['commit']}"
        in said(capsys, made, "explain", id_)[1]
    )
    (repository / "known_by_git.py").write_text("def trick():\n    return lambda batch, key: None\n")
    (now,) = [part for part in snapshot.describe_user_modules([]) if part["name"] == "known_by_git"]
    assert now["changed"] == ["known_by_git.py"]
    assert now["digest"] != mine["digest"]


def test_a_frozen_copy_has_the_code_and_no_runs_notes_or_pictures(tmp_path: Path) -> None:
    import results.tables.definition  # noqa: F401 as a plan or a report does, which made it look like a user's package

    copy = snapshot.freeze(tmp_path / "out" / ".code", [])
    files = [path.relative_to(copy) for path in copy.rglob("*") if path.is_file() and path.name != provenance.SOURCE]
    assert {path.suffix for path in files} <= {".py", ".yaml", ".j2"}
    assert {path.parts[0] for path in files if path.suffix == ".yaml"} == {"conf"}
    assert (copy / "results" / "read.py").read_bytes() == (ROOT / "results" / "read.py").read_bytes()
    assert sum((copy / path).stat().st_size for path in files) < 4 << 20
