"""What a request asks for if its parameters do not say so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from container.tasks.names import ModelTask, OffsetUnit, Task
from container.tasks.settings import TaskSettings
from serve.errors import InvalidRequest
from serve.qa.types import DEFAULT_PARAMETERS, Highlighting, Parameters

DEFAULT_SENTENCES = 5  # are highlighted at most, over all passages of a question
OF_HIGHLIGHTS = ("highlight_threshold", "offset_unit")  # the parameters that answers do not have
OF_SPANS = ("max_answer_len", "handle_impossible_answer", "no_answer_threshold")  # those that act on spans only
# By what the model was trained for: all sentences share one probability, or each has the mean of its tokens'.
DEFAULT_THRESHOLDS: dict[ModelTask, float] = {"question-answering": 0.1, "token-relevance": 0.5}


@dataclass(frozen=True)
class TaskDefaults:
    """The server's defaults for requests. It travels to the text processes as JSON.

    task: the task of a request that names none. threshold: the lowest score of a highlighted sentence. offset_unit:
    what the offsets of highlights count; None: what the form of the request is used to. model: what the model was
    trained for; one for token relevance can only highlight.
    """

    task: Task = "question-answering"
    threshold: float = DEFAULT_THRESHOLDS["question-answering"]
    offset_unit: OffsetUnit | None = None
    model: ModelTask = "question-answering"

    @classmethod
    def of(cls, settings: TaskSettings, model: ModelTask) -> "TaskDefaults":
        """Return those of the settings, for a model."""
        task: Task = "highlight" if model == "token-relevance" else settings.default_task
        threshold = settings.highlight_threshold
        if threshold is None:
            threshold = DEFAULT_THRESHOLDS[model]
        return cls(task, threshold, settings.highlight_offset_unit, model)

    def parameters(self, given: Mapping[str, Any]) -> Parameters:
        """Return the parameters of the data path. given: those of the request, without those that are null.

        Raises: InvalidRequest if the model does not have the task, or the task does not have one of the parameters,
        which would be ignored otherwise.
        """
        if not given and self.task == self.model == "question-answering":
            return DEFAULT_PARAMETERS  # as in most requests
        own = dict(given)
        task = own.pop("task", self.task)
        threshold = own.pop("highlight_threshold", self.threshold)
        unit = own.pop("offset_unit", self.offset_unit or "code_points")
        if self.model == "token-relevance":
            _check_for_token_relevance(task, given)
        if task == "question-answering":
            for name in OF_HIGHLIGHTS:
                if name in given:
                    raise InvalidRequest(
                        f'parameters.{name}: acts only on highlights; ask for them with "task": "highlight" in the '
                        "same parameters, or leave it out"
                    )
            return Parameters(**own) if own else DEFAULT_PARAMETERS
        if own.get("return_logits"):
            raise InvalidRequest(
                'parameters.return_logits: highlights have no logits; leave it out, or ask for answers with "task": '
                '"question-answering"'
            )
        sentences = own.pop("top_k", DEFAULT_SENTENCES)
        # A text that does not answer the question should have no highlight, so the empty answer competes by default.
        own = {"handle_impossible_answer": True, **own}
        return Parameters(**own, highlight=Highlighting(threshold, sentences, unit))


def _check_for_token_relevance(task: Task, given: Mapping[str, Any]) -> None:
    """Check that a token-relevance model can do what a request asks for.

    Raises: InvalidRequest.
    """
    if task != "highlight":
        raise InvalidRequest(
            'parameters.task: must be "highlight", because this model marks the relevant sentences and finds no '
            "answers; leave it out, or ask a question-answering model"
        )
    for name in OF_SPANS:
        if name in given:
            raise InvalidRequest(
                f"parameters.{name}: acts only on a question-answering model, and this is a token-relevance model; "
                "leave it out, or set parameters.highlight_threshold"
            )


DEFAULT_TASKS = TaskDefaults()
