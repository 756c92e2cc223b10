"""How gunicorn runs and supervises the HTTP worker.

There is one worker, which owns all lanes: one queue keeps every core busy, and HTTP itself needs little CPU time.
"""

import errno
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

from container import contract, log_config
from container.settings import Settings
from container.validation import environment
from container.validation.environment import SettingsError

WAIT_SECONDS = 5.0  # gunicorn itself would wait as long, but end with another exit code and eleven lines of log
POLL_SECONDS = 0.1
LAST_PORT = 65535


def options(settings: Settings, worker_class: type) -> dict[str, Any]:
    """Return gunicorn's settings for this server; https://docs.gunicorn.org/en/stable/settings.html explains each."""
    return {
        "bind": [f"[{settings.host}]:{port}" for port in settings.ports],  # in brackets, as an IPv6 address has colons
        "workers": 1,
        "worker_class": worker_class,
        "graceful_timeout": contract.GRACEFUL_TIMEOUT_SECONDS,
        # gunicorn kills and replaces a worker whose event loop is stuck for this many seconds.
        "timeout": 30,
        "backlog": 2048,
        # The worker touches this file as its heartbeat. A slow disk could delay that, so the file is in memory.
        "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
        # gunicorn would create this socket in the home directory, which may be read-only.
        "control_socket_disable": True,
        "accesslog": None,
        "logconfig_dict": log_config.at_level(settings.log_level),
        "proc_name": "bert-qa",
    }


def check_address(settings: Settings) -> None:
    """Check that this process may listen on the address and the ports of the settings, even if they are in use now.

    Raises: SettingsError.
    """
    for name, number in _ports(settings):
        _is_free(settings.host, name, number)


def wait_for_ports(settings: Settings, seconds: float = WAIT_SECONDS) -> None:
    """Wait until no other process listens on the ports, for example until the server before this one has stopped.

    Raises: SettingsError if a port is still in use after this time.
    """
    deadline = time.monotonic() + seconds
    for name, number in _ports(settings):
        while not _is_free(settings.host, name, number):
            if time.monotonic() > deadline:
                variable = environment.variable_of(Settings.model_fields[name])
                other = number + 1 if number < LAST_PORT else number - 1
                raise SettingsError(f"port {number} is in use: stop the other server, or set {variable}={other}")
            time.sleep(POLL_SECONDS)


def _ports(settings: Settings) -> Iterator[tuple[str, int]]:
    """Yield the name of each setting that is a port, and the port."""
    return zip(("port", "admin_port"), settings.ports, strict=False)


def _is_free(host: str, name: str, number: int) -> bool:
    """Return whether no process listens on a port. Raises: SettingsError if this process may not listen on it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except PermissionError:
        refused = Settings.model_fields[name]
        raise environment.refusal(refused, "must be a port that this user may open, such as 8080") from None
    except (OSError, UnicodeError) as error:  # UnicodeError: a part of the name is too long for a name
        if getattr(error, "errno", None) != errno.EADDRINUSE:
            refused = Settings.model_fields["host"]
            raise environment.refusal(refused, "must be an address of this machine, such as 0.0.0.0") from None
        return False
    return True
