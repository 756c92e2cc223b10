"""Write answers to a file, as JSON Lines or CSV, and go on where an earlier run has stopped."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.errors import ToolError
from tools.squad.question_file import JSON_LINES

COLUMNS = ("id", "question", "answer", "score", "start", "end", "precision", "error", "status")


class AnswerFile:
    """A file to which one record after the other is written. Use it as a context manager.

    A record has an id, and an answer as the server sends it, or an error with its status. CSV has the columns of
    COLUMNS; JSON Lines has everything. done: the ids that the file has already.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. An incomplete last record, which an interruption has left, is removed.

        Raises: ToolError if its name says neither JSON Lines nor CSV, or if it cannot be used.
        """
        suffix = path.suffix.lower()
        if suffix != ".csv" and suffix not in JSON_LINES:
            raise ToolError(f"--output {path}: the name must end in .jsonl or .csv")
        self._is_csv = suffix == ".csv"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            present = path.read_bytes() if path.exists() else b""
            records = list((_csv_records if self._is_csv else _json_records)(present.decode()))
            self.done = {str(record["id"]) for record in records}
            kept = (_csv_row(COLUMNS) if self._is_csv else b"") + b"".join(map(self._encode, records))
            if kept != present:
                shorter = path.with_name(f"{path.name}.part")
                shorter.write_bytes(kept)
                shorter.replace(path)
            self._file = path.open("ab")
        except OSError as error:
            raise ToolError(f"cannot write {path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ToolError(
                f"{path} exists and is not a file of answers ({type(error).__name__}: {error}). Name another file"
            ) from None

    def write(self, record: dict[str, Any]) -> None:
        """Add one record, at once: an interruption loses no answer."""
        self._file.write(self._encode(record))
        self._file.flush()

    def __enter__(self) -> "AnswerFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _encode(self, record: dict[str, Any]) -> bytes:
        if self._is_csv:
            best = record.get("answers", [record])[0]  # with --top-k, the best one
            return _csv_row([{**record, **best}.get(column, "") for column in COLUMNS])
        return json.dumps(record, ensure_ascii=False).encode(errors="replace") + b"\n"


def _csv_row(values: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(values)
    return text.getvalue().encode(errors="replace")


def _csv_records(content: str) -> Iterator[dict[str, Any]]:
    """Yield the complete records. A last one without its line end, or within an open quote, is not complete."""
    rows = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    if content and tuple(rows.fieldnames or ()) != COLUMNS:
        raise ValueError(f"its columns are not {','.join(COLUMNS)}")
    records: list[dict[str, Any]] = []
    try:
        records.extend(rows)
    except csv.Error:  # an open quote at the end
        yield from records
        return
    yield from records if content.endswith("\r\n") else records[:-1]


def _json_records(content: str) -> Iterator[dict[str, Any]]:
    """Yield the complete records. A last line without its line end is not complete."""
    for line in content.split("\n")[:-1]:
        record: dict[str, Any] = json.loads(line)
        yield record
