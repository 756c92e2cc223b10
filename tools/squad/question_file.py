"""Read questions from CSV, JSON Lines or SQuAD's format."""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.errors import ToolError
from tools.squad.examples import Example, read_examples

JSON_LINES = (".jsonl", ".jsonlines", ".ndjson")
FIELDS = ("question", "context")


def read_questions(source: str) -> list[Example]:
    """Read a file whose name ends in .csv, .jsonl, .jsonlines or .ndjson, or what `read_examples` reads.

    CSV has a header. A row, or a line, has the fields question and context, and may have an id; without one, its number
    is its id. Other fields are not looked at.

    Raises: ToolError.
    """
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix != ".csv" and suffix not in JSON_LINES:
        return read_examples(source, reads_answers=False)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True) if suffix == ".csv" else map(json.loads, filter(str.strip, file))
            return _examples(path, rows)
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ToolError(f"{path} is not UTF-8: the byte at {error.start} cannot be read. Convert it to UTF-8") from None
    except (csv.Error, json.JSONDecodeError) as error:
        raise ToolError(f"{path} cannot be read: {error}") from None


def _examples(path: Path, rows: Iterable[Mapping[str, Any]]) -> list[Example]:
    examples: list[Example] = []
    for number, row in enumerate(rows, 1):
        values = [row.get(field) for field in FIELDS] if isinstance(row, Mapping) else []
        question, context = values or (None, None)
        if not isinstance(question, str) or not isinstance(context, str):
            raise ToolError(f"{path}: question {number} needs the fields question and context, both of them texts")
        examples.append(Example(str(row.get("id") or number), question, context, ()))
    ids = {example.id for example in examples}
    if len(ids) < len(examples):
        raise ToolError(f"{path}: two questions have the same id; each needs an id of its own, or none")
    return examples
