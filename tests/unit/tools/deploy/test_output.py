"""Tables that cut no value."""

import pytest

from tools.deploy.output import print_table

URI = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/" + "a-long-name-of-a-repository/" * 6 + "bert-qa:0123456789ab"


def test_a_row_is_one_line_where_the_output_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("title", ("step", "change"), [("image", URI)])
    assert URI in capsys.readouterr().out


def test_a_terminal_folds_long_values(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    print_table("title", ("step", "change"), [("image", URI)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    shown = "".join(line.split("│")[2].strip() for line in lines if line.startswith("│"))
    assert shown == URI
