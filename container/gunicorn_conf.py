"""How gunicorn supervises the HTTP worker. Called by `python -m serve` only.

One worker owns all lanes: HTTP is not the limit on CPU, and one queue keeps every core at work.
"""

import os
from typing import Any

from container import contract, log_config
from container.settings import Settings


def options(settings: Settings) -> dict[str, Any]:
    """gunicorn's settings; https://docs.gunicorn.org/en/stable/settings.html."""
    return {
        "bind": f"{settings.host}:{settings.port}",
        "workers": 1,
        "worker_class": "serve.gunicorn_worker.HttpWorker",
        "graceful_timeout": contract.GRACEFUL_TIMEOUT_SECONDS,
        "timeout": 30,  # an event loop that is stuck this long is killed and replaced
        "keepalive": 75,  # longer than the platform's and common load balancers' 60 s
        "backlog": 2048,
        # The heartbeat file, in memory where it can be: a disk can stall it.
        "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
        "control_socket_disable": True,  # it would write to the home directory
        "accesslog": None,
        "logconfig_dict": log_config.at_level(settings.log_level),
        "proc_name": "bert-qa",
    }
