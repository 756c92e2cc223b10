"""The constants of the contract fit together, and the image carries the program's version."""

from pathlib import Path

from container import contract

ROOT = Path(__file__).parents[3]


def test_accepted_requests_are_finished_before_gunicorn_and_the_platform_end_the_server() -> None:
    assert contract.DRAIN_SECONDS < contract.GRACEFUL_TIMEOUT_SECONDS < contract.STOP_TIMEOUT_SECONDS


def test_the_exit_codes_differ() -> None:
    codes = {contract.EXIT_USAGE, contract.EXIT_CPU, contract.EXIT_ARTIFACT, contract.EXIT_SETTINGS, 0}
    assert len(codes) == 5


def test_the_image_is_labelled_with_the_version() -> None:
    label = f'org.opencontainers.image.version="{contract.VERSION}"'
    assert label in (ROOT / "Dockerfile").read_text()
