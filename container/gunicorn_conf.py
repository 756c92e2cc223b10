"""How gunicorn runs and supervises the HTTP worker.

There is one worker, which owns all lanes: one queue keeps every core busy, and HTTP itself needs little CPU time.
"""

import errno
import os
import socket
from typing import Any

from container import contract, log_config
from container.settings import Settings
from container.validation import environment


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
    """Check that this process can listen on the address and the ports of the settings.

    A port that another process uses is no error here: gunicorn waits until it is free.

    Raises: SettingsError.
    """
    for name, number in zip(("port", "admin_port"), settings.ports, strict=False):
        _check_port(settings.host, name, number)


def _check_port(host: str, name: str, number: int) -> None:
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
