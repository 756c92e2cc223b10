"""How gunicorn runs and supervises the HTTP worker.

There is one worker, which owns all lanes: one queue keeps every core busy, and HTTP itself needs little CPU time.
"""

import os
from typing import Any

from container import contract, log_config
from container.settings import Settings


def options(settings: Settings, worker_class: type) -> dict[str, Any]:
    """Return gunicorn's settings for this server; https://docs.gunicorn.org/en/stable/settings.html explains each."""
    return {
        "bind": f"{settings.host}:{settings.port}",
        "workers": 1,
        "worker_class": worker_class,
        "graceful_timeout": contract.GRACEFUL_TIMEOUT_SECONDS,
        # gunicorn kills and replaces a worker whose event loop is stuck for this many seconds.
        "timeout": 30,
        # The server must not close an idle connection first: SageMaker and common load balancers wait 60 seconds.
        "keepalive": 75,
        "backlog": 2048,
        # The worker touches this file as its heartbeat. A slow disk could delay that, so the file is in memory.
        "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
        # gunicorn would create this socket in the home directory, which may be read-only.
        "control_socket_disable": True,
        "accesslog": None,
        "logconfig_dict": log_config.at_level(settings.log_level),
        "proc_name": "bert-qa",
    }
