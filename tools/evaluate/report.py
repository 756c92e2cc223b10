"""The files that evaluate writes: the report, and the questions whose answer changed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.errors import ToolError
from tools.evaluate.evaluation import Evaluation
from tools.evaluate.questions import QuestionSet


def write_report(
    path: Path | None, questions: QuestionSet, evaluation: Evaluation, fingerprint: Mapping[str, Any]
) -> None:
    """Write scores, differences, all answers and the fingerprint as JSON.

    Raises: ToolError.
    """
    report = {
        "fingerprint": fingerprint,
        "data": {"name": questions.name, "sha256": questions.digest, "metric": questions.metric},
        "rules": asdict(questions.rules),
        **evaluation.as_json(),
    }
    write(path, json.dumps(report, indent=1, ensure_ascii=False))


def write_changed(path: Path | None, evaluation: Evaluation) -> None:
    """Write the questions whose answer changed as JSON Lines, the largest loss of F1 first.

    Raises: ToolError.
    """
    write(path, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in evaluation.changed_questions()))


def write(path: Path | None, content: str) -> None:
    """Write a file of a report, unless path is None.

    Raises: ToolError.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ToolError(
            f"cannot write {path}: {error.strerror}. The answers are kept: run the command again with another path"
        ) from None
