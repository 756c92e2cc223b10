"""gunicorn accepts the server's options."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from gunicorn.config import Config
from gunicorn.workers.sync import SyncWorker

from container import contract, gunicorn_conf
from container.settings import Settings
from container.validation.environment import SettingsError
from tools.local_server import free_port


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


def test_an_idle_connection_outlives_the_platforms_own_timeout() -> None:
    assert Settings.from_env().keep_alive_seconds > contract.RESPONSE_TIMEOUT_SECONDS


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"])
def test_the_server_can_listen_on_addresses_of_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("HOST", host)
    monkeypatch.setenv("PORT", "9001")
    config = Config()
    config.set("bind", gunicorn_conf.options(Settings.from_env(), SyncWorker)["bind"])
    assert config.address == [(host, 9001)]
    if ":" not in host or socket.has_dualstack_ipv6():
        gunicorn_conf.check_address(Settings.from_env())


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "::x", "a" * 100, "unix:/tmp/socket", "127.0.0.1:80"])
def test_an_address_that_is_not_of_this_machine_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("host", host)
    with pytest.raises(SettingsError, match=rf"^host='{host}': must be an address of this machine"):
        gunicorn_conf.check_address(Settings.from_env())


@pytest.mark.parametrize("variable", ["PORT", "ADMIN_PORT", "SAGEMAKER_BIND_TO_PORT"])
def test_a_port_that_is_in_use_is_named_with_its_variable_and_another_port(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("HOST", "127.0.0.1")
    monkeypatch.setenv("PORT", str(free_port()))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv(variable, str(port))
        gunicorn_conf.check_address(Settings.from_env())  # the port may be free when it is opened
        other = port + 1 if port < 65535 else port - 1
        expected = f"^port {port} is in use: stop the other server, or set {variable}={other}$"
        with pytest.raises(SettingsError, match=expected):
            gunicorn_conf.wait_for_ports(Settings.from_env(), seconds=0)


def test_the_server_waits_for_a_port_that_becomes_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("HOST", "127.0.0.1")
        monkeypatch.setenv("PORT", str(listener.getsockname()[1]))
        closing = threading.Timer(0.3, listener.close)
        closing.start()
        gunicorn_conf.wait_for_ports(Settings.from_env(), seconds=30)
        assert listener.fileno() == -1
        closing.join()


def test_a_port_that_the_user_may_not_open_is_refused() -> None:
    script = (
        "import encodings.idna, os; from container import gunicorn_conf; from container.settings import Settings\n"
        "os.setuid(10001)  # who may not be able to read the modules\n"
        "try: gunicorn_conf.check_address(Settings.from_env())\n"
        "except Exception as error: print(error)"
    )
    first_open = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if os.geteuid() != 0 or first_open < 2:
        pytest.skip("needs root, to become a user who may not open every port, and a port that this user may not open")
    run = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PORT": "1"}, capture_output=True, text=True
    )
    assert run.stdout == "PORT='1': must be a port that this user may open, such as 8080\n", run.stderr
