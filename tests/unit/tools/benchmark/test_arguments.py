"""The command line of benchmark."""

import pytest

from tools.benchmark.arguments import parse_arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--model-dir --url --endpoint is required"),
        (["--rates", "5,-1"], "'5,-1' is not a list of numbers above 0"),
        (["--rates", "fast"], "'fast' is not a list of numbers"),
        (["--rates", "nan"], "'nan' is not a list of numbers"),
        (["--rates", "1e9"], "up to 5,000"),
        (["--rates", "5", "--load", "0.5"], "not allowed with"),
        (["--load", "0"], "'0' is not a list of numbers above 0"),
        (["--clients", "1,2.5"], "'1,2.5' is not a list of whole numbers"),
        (["--clients", "4", "--requests", "3"], "--requests must be at least --clients"),
        (["--seconds", "-3"], "'-3' is not a number above 0"),
        (["--requests", "1.5"], "'1.5' is not a whole number"),
        (["--dollars-per-hour", "free"], "'free' is not a number above 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments([*(["--url", "http://localhost"] if arguments else []), *arguments], None)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
