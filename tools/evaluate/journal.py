"""The answers that an evaluation has so far, on disk, so that an interrupted run continues where it stopped.

There is one file of JSON Lines for each key. Its first line is the key, and each further line is the answer to the next
question. Another model, data set or setting makes another key, and so another file.
"""

import fcntl
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.answers.source import Reply
from tools.errors import ToolError


class Journal:
    """One file, locked while it is open. `replies` holds the replies found in the file and the ones added since."""

    def __init__(self, directory: Path, key: Mapping[str, Any], *, resumes: bool = True) -> None:
        """Open or create the file, and remove a last line that an interrupted run has left incomplete.

        Args:
            directory: where the file is; created if it is missing.
            key: everything that the answers depend on, as JSON.
            resumes: False if the key does not contain everything that the answers depend on; then the answers in the
                file are discarded.

        Raises: ToolError if the file cannot be written, or another process writes it.
        """
        head = json.dumps(key, sort_keys=True)
        self.path = directory / f"{hashlib.sha256(head.encode()).hexdigest()[:16]}.jsonl"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ToolError(
                f"the same evaluation is already running: another process writes {self.path}. Wait until it ends"
            ) from None
        except OSError as error:
            raise ToolError(f"cannot write {directory}: {error.strerror}. Name a directory with --journal") from None
        self.replies: list[Reply] = []
        if not resumes:
            self._file.truncate(0)
        self._read(head)

    def add(self, question_id: str, reply: Reply) -> None:
        """Write the reply to the next question."""
        self._write({"id": question_id, **asdict(reply)})
        self.replies.append(reply)

    def close(self) -> None:
        """Close the file and keep it for a later run."""
        self._file.close()

    def remove(self) -> None:
        """Delete the file, because the evaluation is complete: the next run asks all questions again."""
        self.path.unlink(missing_ok=True)
        self.close()

    def _read(self, head: str) -> None:
        self._file.seek(0)
        valid_bytes = 0
        for number, line in enumerate(self._file):
            try:
                content = json.loads(line)
                if not line.endswith(b"\n") or (number == 0 and content != json.loads(head)):
                    break
                if number > 0:
                    del content["id"]
                    self.replies.append(Reply(**content))
            except (ValueError, KeyError, TypeError):
                break
            valid_bytes += len(line)
        self._file.truncate(valid_bytes)
        if valid_bytes == 0:
            self._write(json.loads(head))

    def _write(self, content: object) -> None:
        self._file.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")
        self._file.flush()  # hands the line to the operating system, so it survives a crash of this process
