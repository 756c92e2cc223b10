"""Give up root privileges. SageMaker starts containers as root, but the server needs no root privileges."""

import ctypes
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

PR_SET_NO_NEW_PRIVS = 38  # From linux/prctl.h: this process and its children can never gain privileges again.


def drop(user_id: int, model_dir: Path | None) -> None:
    """If this process runs as root, switch it to this user and group for good.

    The process stays root, and logs a warning with the reason, if the container does not allow the switch or if the
    user cannot read everything in model_dir. With model_dir None, nothing has to be readable.
    """
    if os.geteuid() != 0:
        return
    try:
        os.setgroups([])
        os.setegid(user_id)
        os.seteuid(user_id)
    except PermissionError:
        log.warning("stays root: the container lacks the capabilities CAP_SETUID and CAP_SETGID to change its user")
        return
    unreadable = next(_unreadable(model_dir), None) if model_dir else None
    os.seteuid(0)
    os.setegid(0)
    if unreadable:
        log.warning(
            "stays root: user %d cannot read %s. Make the model's files readable for all users", user_id, unreadable
        )
        return
    os.setresgid(user_id, user_id, user_id)
    os.setresuid(user_id, user_id, user_id)
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    log.info("root privileges are given up: the server runs as user %d", user_id)


def _unreadable(directory: Path) -> Iterator[Path]:
    """Yield each path that the effective user cannot read: the directory itself, or files and folders below it."""
    if not os.access(directory, os.R_OK | os.X_OK, effective_ids=True):
        yield directory
        return
    for path in directory.iterdir():
        if path.is_dir():
            yield from _unreadable(path)
        elif not os.access(path, os.R_OK, effective_ids=True):
            yield path
