"""The answers that an evaluation has so far, on disk, so that an interrupted one goes on where it stopped.

One file of JSON Lines for each key: the key itself, then an answer a line, in the questions' order. Another model, data
set or setting is another key, so another file.
"""

import fcntl
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.errors import ToolError


class Journal:
    """One file, locked while it is open. answers: those found in it, and those added."""

    def __init__(self, directory: Path, key: Mapping[str, Any], *, resumes: bool = True) -> None:
        """Open or begin the file, and drop what an interruption left of a last line.

        Args:
            directory: is made where it is missing.
            key: JSON; what the answers depend on.
            resumes: false where the key does not tell all of that: the file is begun anew.

        Raises: ToolError where it cannot be written, or another process writes it.
        """
        head = json.dumps(key, sort_keys=True)
        self.path = directory / f"{hashlib.sha256(head.encode()).hexdigest()[:16]}.jsonl"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ToolError(f"{self.path} is being written: the same evaluation runs already") from None
        except OSError as error:
            raise ToolError(f"cannot write {directory}: {error.strerror}. Name a directory with --journal") from None
        self.answers: list[str] = []
        if not resumes:
            self._file.truncate(0)
        self._read(head)

    def add(self, question_id: str, answer: str) -> None:
        """Write the answer to the next question."""
        self._write({"id": question_id, "answer": answer})
        self.answers.append(answer)

    def close(self) -> None:
        """Keep it for a later run."""
        self._file.close()

    def remove(self) -> None:
        """It has served: the next run asks anew."""
        self.path.unlink(missing_ok=True)
        self.close()

    def _read(self, head: str) -> None:
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file):
            try:
                content = json.loads(line)
                if not line.endswith(b"\n") or (number == 0 and content != json.loads(head)):
                    break
                if number > 0:
                    self.answers.append(content["answer"])
            except (ValueError, KeyError, TypeError):
                break
            whole += len(line)
        self._file.truncate(whole)
        if whole == 0:
            self._write(json.loads(head))

    def _write(self, content: object) -> None:
        self._file.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")
        self._file.flush()  # the system has it, whatever becomes of this process
