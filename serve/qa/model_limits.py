"""What an artifact says about windows and answers."""

from dataclasses import dataclass

from container.tasks.names import ModelTask
from model_loader.artifact import Artifact


@dataclass(frozen=True)
class ModelLimits:
    """What an artifact says about windows and answers. It travels to the text processes as JSON.

    max_seq_len, doc_stride: the longest window, and the overlap of two windows, in tokens. no_answer_threshold: for
    requests that name none. temperature, log_odds_shift: of the calibration (serve/qa/ranking/calibration.py). task:
    what the model was trained for.
    """

    max_seq_len: int
    doc_stride: int
    no_answer_threshold: float = 0.0
    temperature: float = 1.0
    log_odds_shift: float = 0.0
    task: ModelTask = "question-answering"

    @classmethod
    def of(cls, artifact: Artifact, no_answer_threshold: float | None = None) -> "ModelLimits":
        """Return those of an artifact. no_answer_threshold: takes the place of the artifact's."""
        threshold = artifact.no_answer_threshold if no_answer_threshold is None else no_answer_threshold
        calibration = artifact.temperature, artifact.log_odds_shift
        return cls(artifact.max_seq_len, artifact.doc_stride, threshold, *calibration, artifact.task)
