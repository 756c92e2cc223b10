"""The summary of a server's rounds."""

from benchmarks.peers.measure import Figures, medians


def test_medians_over_rounds_add_up_the_errors() -> None:
    rounds = [Figures(speed, 1, 2, 3, 4, 5, errors) for speed, errors in ((10.0, 1), (30.0, 0), (11.0, 2))]
    assert medians(rounds) == Figures(11.0, 1, 2, 3, 4, 5, 3)
