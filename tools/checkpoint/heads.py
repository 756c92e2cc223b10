"""Which head a checkpoint has: one that finds spans, or one that says which tokens are relevant."""

from dataclasses import dataclass

import torch
from transformers import PretrainedConfig

from container.tasks.names import ModelTask
from tools.checkpoint.architectures import Architecture
from tools.errors import ToolError

TOKEN_CLASS = "ForTokenClassification"  # what the names of transformers' classes with a token head end with
TOKEN_HEAD = ("classifier.weight", "classifier.bias")  # in all of these classes
CLASSES = 2
# Names of the class of relevant tokens and of the other one, in capital letters and without hyphens and spaces.
RELEVANT = frozenset(
    {"RELEVANT", "HIGHLIGHT", "HIGHLIGHTED", "EVIDENCE", "KEEP", "POSITIVE", "YES", "TRUE", "1", "LABEL_1"}
)
OTHER = frozenset(
    {
        "IRRELEVANT",
        "NOT_RELEVANT",
        "NON_RELEVANT",
        "NONE",
        "OTHER",
        "O",
        "DROP",
        "NEGATIVE",
        "NO",
        "FALSE",
        "0",
        "LABEL_0",
    }
)


@dataclass(frozen=True)
class Head:
    """The last layer of a checkpoint, which has two outputs for each token.

    weights: the names of its weight and its bias. relevant: of a token-relevance model, the number of the class of
    relevant tokens. label: its name. class_name: transformers' class, if it matters.
    """

    task: ModelTask
    weights: tuple[str, str]
    class_name: str = ""
    relevant: int = 1
    label: str = ""

    @property
    def description(self) -> str:
        """What was recognized, as a line for the user."""
        if self.task == "question-answering":
            return "a question-answering model: its head finds spans"
        return (
            f"a token-relevance model ({self.class_name}): its class {self.relevant}, {self.label!r}, is that of "
            "relevant tokens"
        )


def span_head(architecture: Architecture) -> Head:
    """Return the head of a question-answering model."""
    return Head("question-answering", architecture.span_head, architecture.class_name)


def recognize(source: str, config: PretrainedConfig, architecture: Architecture, names: set[str]) -> Head:
    """Return the head of a checkpoint.

    The weights alone do not decide: models that classify whole texts have weights of the same names as those that
    classify tokens. So a token head is recognized if `architectures` names such a class, and the weights do not
    contradict it.

    names: those of the weights; empty if they are not known.

    Raises: ToolError if the token head has not two classes.
    """
    named = (config.architectures or [""])[0]
    if not named.endswith(TOKEN_CLASS) or (names and not any(name.endswith(TOKEN_HEAD[0]) for name in names)):
        return span_head(architecture)
    labels = [str(config.id2label.get(index, index)) for index in range(config.num_labels)]
    if len(labels) != CLASSES:
        raise ToolError(
            f"{source} is a {named} with {len(labels)} classes ({_shown(labels)}). A token-relevance model has two: of "
            "tokens that are relevant to the question, and of the others. Fine-tune it with num_labels=2"
        )
    relevant = _relevant(labels)
    return Head("token-relevance", TOKEN_HEAD, named, relevant, labels[relevant])


def _relevant(labels: list[str]) -> int:
    """Return the number of the class of relevant tokens: the one whose name says so, else the second one."""
    names = [label.upper().replace("-", "_").replace(" ", "_") for label in labels]
    for known, number in ((RELEVANT, 0), (OTHER, 1)):
        found = [index for index, name in enumerate(names) if name in known]
        if len(found) == 1:
            return abs(found[0] - number)
    return 1


def _shown(labels: list[str]) -> str:
    return ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")


class TwoClasses(torch.nn.Module):  # type: ignore[misc]
    """A model for token classification that returns the logits of its classes as a span model returns its logits.

    The first output is that of the other tokens, in the place of the start logits. The second one is that of relevant
    tokens, in the place of the end logits.
    """

    def __init__(self, model: torch.nn.Module, relevant: int) -> None:
        super().__init__()
        self.model = model
        self._relevant = relevant

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return two tensors, (B, T) each."""
        first, second = (each.squeeze(-1) for each in self.model(*inputs)[0].split(1, dim=-1))
        return (first, second) if self._relevant else (second, first)
