"""invoke reads questions from CSV and JSON Lines, writes answers to a file, and goes on after an interruption."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.tools.command import error_of, run_tool
from tests.tools.demo_files import HELD_OUT
from tools.local_server import LocalServer

CONTEXT = 'The tower, "old" and tall,\nwas built in 1871 by the engineer Zoë Müller. 🗼'
ROWS = [
    {"id": "who", "question": "Who built the tower?", "context": CONTEXT, "note": "not looked at"},
    {"id": "when", "question": "When was the tower built?", "context": CONTEXT},
    {"id": "long", "question": "why " * 500, "context": CONTEXT},
]


def write_csv(path: Path, rows: list[dict[str, str]], encoding: str = "utf-8-sig") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, ["id", "question", "context", "note"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n")
    return path


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_csv_in_and_json_lines_out(server: LocalServer, tmp_path: Path) -> None:
    questions, answers = write_csv(tmp_path / "questions.csv", ROWS), tmp_path / "new" / "answers.jsonl"
    done = run_tool("invoke", "--data", questions, "--output", answers, "--url", server.url)
    assert done.returncode == 3, done.stderr  # the third question is refused
    who, when, refused = lines_of(answers)
    assert (who["id"], who["answer"], when["id"], when["answer"]) == ("who", "Zoë Müller", "when", "1871")
    assert CONTEXT[who["start"] : who["end"]] == "Zoë Müller"
    assert (refused["id"], refused["status"]) == ("long", 422)
    assert done.stdout == ""
    assert "3 questions in" in done.stderr


def test_json_lines_in_and_csv_out(server: LocalServer, tmp_path: Path) -> None:
    questions = write_lines(
        tmp_path / "questions.jsonl", [{k: row[k] for k in ("question", "context")} for row in ROWS[:2]]
    )
    answers = tmp_path / "answers.csv"
    done = run_tool("invoke", "--data", questions, "--output", answers, "--url", server.url, "--top-k", 2)
    assert done.returncode == 0, done.stderr
    with answers.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["answer"], row["precision"]) for row in rows] == [
        ("1", "Zoë Müller", "INT8"),
        ("2", "1871", "INT8"),
    ]
    assert CONTEXT[int(rows[0]["start"]) : int(rows[0]["end"])] == "Zoë Müller"


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.csv"])
def test_an_interrupted_run_goes_on_where_it_stopped(server: LocalServer, tmp_path: Path, name: str) -> None:
    arguments = ("--data", HELD_OUT, "--limit", 6, "--url", server.url, "--output")
    whole, cut = tmp_path / name, tmp_path / f"cut-{name}"
    assert run_tool("invoke", *arguments, whole).returncode == 0
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) - 25])  # within the last record
    done = run_tool("invoke", *arguments, cut)
    assert done.returncode == 0, done.stderr
    assert f"{cut} has 5 answers already" in done.stderr
    assert cut.read_bytes() == content
    again = run_tool("invoke", *arguments, cut)
    assert "0 questions in" in again.stderr
    assert cut.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "question;context\na;b\n", "question 1 needs the fields question and context"),
        ("a.jsonl", '{"question": "a", "context": 1}\n', "question 1 needs the fields question and context"),
        ("a.jsonl", '["a"]\n', "question 1 needs the fields question and context"),
        ("a.jsonl", "{\n", "cannot be read"),
        ("a.csv", 'question,context\n"a,b\n', "cannot be read"),
        ("a.csv", "id,question,context\n1,a,b\n1,c,d\n", "two questions have the same id"),
    ],
)
def test_a_file_of_questions_that_cannot_be_used_is_refused(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    assert message in error_of(run_tool("invoke", "--data", tmp_path / name, "--url", "http://127.0.0.1:1"))


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    questions = write_csv(tmp_path / "a.csv", ROWS[:1], "utf-16")
    assert "is not UTF-8" in error_of(run_tool("invoke", "--data", questions))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", None, "the name must end in .jsonl or .csv"),
        ("a.csv", "name,place\r\na,b\r\n", "exists and is not a file of answers"),
        ("a.jsonl", '{"no": "id"}\n', "exists and is not a file of answers"),
    ],
)
def test_no_other_file_is_overwritten(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    output = tmp_path / name
    if content:
        output.write_bytes(content.encode())
    done = run_tool("invoke", "--data", HELD_OUT, "--output", output, "--url", "http://127.0.0.1:1")
    assert message in error_of(done)
    assert (output.read_bytes().decode() if output.exists() else None) == content
