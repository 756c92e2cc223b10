"""Answers on disk: what an interruption leaves, and what another key finds."""

import json
from pathlib import Path

import pytest

from tools.errors import ToolError
from tools.evaluate.journal import Journal

KEY = {"data": "d1", "model": {"sha256": "m1"}, "precision": "INT8"}


def written(directory: Path, *answers: str) -> Path:
    """A journal with so many answers, closed as an interruption leaves it."""
    journal = Journal(directory, KEY)
    for number, answer in enumerate(answers):
        journal.add(f"q{number}", answer)
    journal.close()
    return journal.path


def read(directory: Path, key: dict[str, object] = KEY) -> list[str]:
    journal = Journal(directory, key)
    journal.close()
    return journal.answers


def test_answers_are_found_again_and_go_on(tmp_path: Path) -> None:
    written(tmp_path, "Zoë\n Müller", "")
    journal = Journal(tmp_path, KEY)
    assert journal.answers == ["Zoë\n Müller", ""]
    journal.add("q2", "1871")
    journal.close()
    assert read(tmp_path) == ["Zoë\n Müller", "", "1871"]


def test_the_file_is_readable(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in written(tmp_path, "Zoë").read_text().splitlines()]
    assert lines == [KEY, {"id": "q0", "answer": "Zoë"}]


def test_an_answer_is_on_disk_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, KEY)
    journal.add("q0", "Zoë")
    assert json.loads(journal.path.read_text().splitlines()[-1])["answer"] == "Zoë"
    journal.close()


@pytest.mark.parametrize("left", range(1, 31))
def test_a_torn_last_line_is_dropped(tmp_path: Path, left: int) -> None:
    path = written(tmp_path, "Zoë Müller", "1871")
    content = path.read_bytes()
    last = content.splitlines(keepends=True)[-1]
    assert len(last) == 31
    path.write_bytes(content[: len(content) - len(last) + left])
    journal = Journal(tmp_path, KEY)
    assert journal.answers == ["Zoë Müller"]
    journal.add("q1", "1871")
    journal.close()
    assert path.read_bytes() == content


def test_a_torn_first_line_begins_anew(tmp_path: Path) -> None:
    path = written(tmp_path, "Zoë")
    path.write_bytes(path.read_bytes()[:10])
    assert read(tmp_path) == []
    assert written(tmp_path, "Zoë") == path
    assert read(tmp_path) == ["Zoë"]


@pytest.mark.parametrize("damaged", [b"\x00\x00\n", b"{}\n", b"[]\n", b"\n"])
def test_what_follows_a_damaged_line_is_asked_again(tmp_path: Path, damaged: bytes) -> None:
    path = written(tmp_path, "a", "b", "c")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], damaged, *lines[3:]]))
    assert read(tmp_path) == ["a"]


@pytest.mark.parametrize("change", [{"data": "d2"}, {"model": {"sha256": "m2"}}, {"precision": "FP32"}])
def test_another_key_finds_nothing_and_harms_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    written(tmp_path, "Zoë")
    assert read(tmp_path, {**KEY, **change}) == []
    assert read(tmp_path) == ["Zoë"]


def test_a_key_that_does_not_tell_all_begins_anew(tmp_path: Path) -> None:
    written(tmp_path, "Zoë")
    Journal(tmp_path, KEY, resumes=False).close()
    assert read(tmp_path) == []


def test_two_runs_do_not_write_into_one_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, KEY)
    with pytest.raises(ToolError, match="the same evaluation runs already"):
        Journal(tmp_path, KEY)
    journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="Name a directory with --journal"):
        Journal(tmp_path / "file" / "below", KEY)
