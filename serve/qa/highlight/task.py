"""What a request asks for if its parameters do not say so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from container.tasks.names import OffsetUnit, Task
from container.tasks.settings import TaskSettings
from serve.errors import InvalidRequest
from serve.qa.types import DEFAULT_PARAMETERS, Highlighting, Parameters

DEFAULT_SENTENCES = 5  # are highlighted at most, over all passages of a question
OF_HIGHLIGHTS = ("highlight_threshold", "offset_unit")  # the parameters that answers do not have


@dataclass(frozen=True)
class TaskDefaults:
    """The server's defaults for requests. It travels to the text processes as JSON.

    task: the task of a request that names none. threshold: the lowest score of a highlighted sentence. offset_unit:
    what the offsets of highlights count; None: what the form of the request is used to.
    """

    task: Task = "question-answering"
    threshold: float = 0.1
    offset_unit: OffsetUnit | None = None

    @classmethod
    def of(cls, settings: TaskSettings) -> "TaskDefaults":
        """Return those of the settings."""
        return cls(settings.default_task, settings.highlight_threshold, settings.highlight_offset_unit)

    def parameters(self, given: Mapping[str, Any]) -> Parameters:
        """Return the parameters of the data path. given: those of the request, without those that are null.

        Raises: InvalidRequest if the task does not have one of them, which would be ignored otherwise.
        """
        own = dict(given)
        task = own.pop("task", self.task)
        threshold = own.pop("highlight_threshold", self.threshold)
        unit = own.pop("offset_unit", self.offset_unit or "code_points")
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


DEFAULT_TASKS = TaskDefaults()
