"""gunicorn accepts the server's options."""

import pytest
from gunicorn.config import Config
from gunicorn.workers.sync import SyncWorker

from container import contract, gunicorn_conf
from container.settings import Settings


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Config:
    """Return gunicorn's configuration for a server on a certain address."""
    monkeypatch.setenv("HOST", "127.0.0.1")
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "9001")
    made = Config()
    for name, value in gunicorn_conf.options(Settings.from_env(), SyncWorker).items():
        made.set(name, value)  # gunicorn refuses unknown names and invalid values
    return made


def test_one_worker_of_the_given_class_listens_on_the_address_of_the_settings(config: Config) -> None:
    assert config.worker_class is SyncWorker
    assert config.workers == 1
    assert config.address == [("127.0.0.1", 9001)]


def test_gunicorn_waits_for_the_drain(config: Config) -> None:
    assert contract.DRAIN_SECONDS < config.graceful_timeout < contract.STOP_TIMEOUT_SECONDS


def test_an_idle_connection_outlives_the_platforms_own_timeout(config: Config) -> None:
    assert config.keepalive > contract.RESPONSE_TIMEOUT_SECONDS
