"""Gives root up for good. SageMaker starts containers as root; answering questions needs none of it."""

import ctypes
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h: no program that is started from here on can gain rights


def drop(user_id: int, needed: Path | None) -> None:
    """Become this user and group, if this process is root. needed: a directory that must stay readable, if any.

    Where that cannot be, the process stays root and a warning says why.
    """
    if os.geteuid() != 0:
        return
    try:
        os.setgroups([])
        os.setegid(user_id)
        os.seteuid(user_id)
    except PermissionError:
        log.warning("stays root: this container may not change its user (CAP_SETUID, CAP_SETGID)")
        return
    unreadable = next(_unreadable(needed), None) if needed else None
    os.seteuid(0)
    os.setegid(0)
    if unreadable:
        log.warning("stays root: user %d cannot read %s. Make the model readable by all", user_id, unreadable)
        return
    os.setresgid(user_id, user_id, user_id)
    os.setresuid(user_id, user_id, user_id)
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    log.info("root is given up: the server runs as user %d", user_id)


def _unreadable(directory: Path) -> Iterator[Path]:
    """What the effective user cannot read."""
    if not os.access(directory, os.R_OK | os.X_OK, effective_ids=True):
        yield directory
        return
    for path in directory.iterdir():
        if path.is_dir():
            yield from _unreadable(path)
        elif not os.access(path, os.R_OK, effective_ids=True):
            yield path
