"""The journal on disk: after interruptions, with damaged lines, and with other keys."""

import json
from pathlib import Path

import pytest

from tools.answers.source import Reply
from tools.errors import ToolError
from tools.evaluate.journal import Journal

KEY = {"data": "d1", "model": {"sha256": "m1"}, "precision": "INT8"}


def written(directory: Path, *answers: str) -> Path:
    """Write a journal with these answers, close it as an interruption does, and return its path."""
    journal = Journal(directory, KEY)
    for number, answer in enumerate(answers):
        journal.add(f"q{number}", Reply(answer, 0.5))
    journal.close()
    return journal.path


def read(directory: Path, key: dict[str, object] = KEY) -> list[str]:
    journal = Journal(directory, key)
    journal.close()
    return [reply.answer for reply in journal.replies]


def test_a_reopened_journal_has_its_answers_and_accepts_more(tmp_path: Path) -> None:
    written(tmp_path, "Zoë\n Müller", "")
    journal = Journal(tmp_path, KEY)
    assert [reply.answer for reply in journal.replies] == ["Zoë\n Müller", ""]
    journal.add("q2", Reply("1871", 0.5))
    journal.close()
    assert read(tmp_path) == ["Zoë\n Müller", "", "1871"]


def test_the_file_has_the_key_and_then_one_answer_per_line(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in written(tmp_path, "Zoë").read_text().splitlines()]
    assert lines == [KEY, {"id": "q0", "answer": "Zoë", "score": 0.5, "best_span": "", "null_difference": None}]


def test_an_answer_is_in_the_file_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, KEY)
    journal.add("q0", Reply("Zoë", 0.5))
    assert json.loads(journal.path.read_text().splitlines()[-1])["answer"] == "Zoë"
    journal.close()


@pytest.mark.parametrize("left", [1, 8, 20, 40, 60, 80, 86])
def test_an_incomplete_last_line_is_removed(tmp_path: Path, left: int) -> None:
    path = written(tmp_path, "Zoë Müller", "1871")
    content = path.read_bytes()
    last = content.splitlines(keepends=True)[-1]
    assert len(last) == 87
    path.write_bytes(content[: len(content) - len(last) + left])
    journal = Journal(tmp_path, KEY)
    assert [reply.answer for reply in journal.replies] == ["Zoë Müller"]
    journal.add("q1", Reply("1871", 0.5))
    journal.close()
    assert path.read_bytes() == content


def test_an_incomplete_first_line_starts_the_journal_again(tmp_path: Path) -> None:
    path = written(tmp_path, "Zoë")
    path.write_bytes(path.read_bytes()[:10])
    assert read(tmp_path) == []
    assert written(tmp_path, "Zoë") == path
    assert read(tmp_path) == ["Zoë"]


@pytest.mark.parametrize("damaged", [b"\x00\x00\n", b"{}\n", b"[]\n", b"\n"])
def test_answers_after_a_damaged_line_are_dropped(tmp_path: Path, damaged: bytes) -> None:
    path = written(tmp_path, "a", "b", "c")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], damaged, *lines[3:]]))
    assert read(tmp_path) == ["a"]


@pytest.mark.parametrize("change", [{"data": "d2"}, {"model": {"sha256": "m2"}}, {"precision": "FP32"}])
def test_another_key_has_no_answers_and_keeps_those_of_the_first(tmp_path: Path, change: dict[str, object]) -> None:
    written(tmp_path, "Zoë")
    assert read(tmp_path, {**KEY, **change}) == []
    assert read(tmp_path) == ["Zoë"]


def test_a_journal_that_does_not_resume_starts_again(tmp_path: Path) -> None:
    written(tmp_path, "Zoë")
    Journal(tmp_path, KEY, resumes=False).close()
    assert read(tmp_path) == []


def test_a_second_process_cannot_write_the_same_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path, KEY)
    with pytest.raises(ToolError, match="the same evaluation is already running"):
        Journal(tmp_path, KEY)
    journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_directory_raises_an_error_that_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="Name a directory with --journal"):
        Journal(tmp_path / "file" / "below", KEY)
