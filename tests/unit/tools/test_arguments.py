"""Arguments that several commands take."""

import pytest

from tools.arguments import add_limit, add_source, command_parser, parse_precisions
from tools.errors import ToolError


def test_precisions_are_returned_fastest_first() -> None:
    assert parse_precisions("fp32, int8") == ("INT8", "FP32")
    assert parse_precisions("auto") is None


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ToolError, match="--precisions int8,int4: must be auto, or some of int8,bf16,fp32"):
        parse_precisions("int8,int4")


@pytest.mark.parametrize(
    "arguments", [[], ["--url", "http://x", "--endpoint", "x"], ["--model-dir", "x", "--url", "x"]]
)
def test_exactly_one_source_must_be_given(arguments: list[str]) -> None:
    parser = command_parser("test", None)
    add_source(parser, model_dir_help="an artifact")
    with pytest.raises(SystemExit):
        parser.parse_args(arguments)


def test_a_default_url_is_asked_if_no_source_is_given() -> None:
    parser = command_parser("test", None)
    add_source(parser, default_url="http://127.0.0.1:8080")
    given = parser.parse_args([])
    assert (given.url, given.endpoint) == ("http://127.0.0.1:8080", None)


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "many"])
def test_a_limit_must_be_a_whole_number_above_0(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = command_parser("test", None)
    add_limit(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([f"--limit={limit}"])
    assert f"argument --limit: '{limit}' is not a " in capsys.readouterr().err
