"""What waits for a history is found again by the machine that has it, and by no other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_mlperf.history import waiting
from pytest_mlperf.history.store import open_history
from pytest_mlperf.history.waiting import Waiting


def taken(notes: Waiting) -> list[Path]:
    """Take all notes, and leave them where they are."""
    found = []
    for note in notes.take():
        found.append(note.results)
        note.keep()
    return found


@pytest.mark.parametrize(
    "name", ["results", "two words", "caf\u00e9", os.fsdecode(b"caf\xe9"), "two\nlines", "end\n"]
)
def test_a_note_is_taken_once_it_is_let_go(tmp_path: Path, name: str) -> None:
    notes = Waiting(folder=tmp_path / "notes", host="node-7")
    note = notes.add(tmp_path / name)
    assert (note.results, taken(notes)) == (tmp_path / name, [])
    note.keep()
    assert taken(notes) == [tmp_path / name]
    (again,) = notes.take()
    again.done()
    assert taken(notes) == []


def test_machines_that_share_a_home_take_their_own_notes(tmp_path: Path) -> None:
    mine, theirs = (Waiting(folder=tmp_path, host=host) for host in ("node-7", "node-8"))
    mine.add(Path("/scratch/mine")).keep()
    theirs.add(Path("/scratch/theirs")).keep()
    assert taken(mine) == [Path("/scratch/mine")]
    assert taken(theirs) == [Path("/scratch/theirs")]


def test_what_waits_is_found_with_a_new_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    old, new, another = (
        waiting.of(open_history(f"postgresql+psycopg://me:{word}@h/{database}"))
        for word, database in (("old", "d"), ("new", "d"), ("old", "another"))
    )
    old.add(Path("/scratch/out")).keep()
    assert taken(new) == [Path("/scratch/out")]
    assert taken(another) == []
