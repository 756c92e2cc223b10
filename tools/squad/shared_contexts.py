"""A warning if a file for evaluation has contexts that the model has seen already."""

from collections.abc import Iterable
from dataclasses import dataclass

from tools.squad.examples import Example
from tools.squad.question_tally import counted


@dataclass(frozen=True)
class EvaluationContexts:
    """The contexts of the questions of a file with which a model is measured."""

    name: str
    contexts: frozenset[str]

    @classmethod
    def of(cls, name: str, examples: Iterable[Example]) -> "EvaluationContexts":
        """Return the contexts of examples. name: what the file is called in a warning."""
        return cls(name, frozenset(example.context for example in examples))

    def warnings(self, seen: Iterable[str], other: str) -> list[str]:
        """Return one line if some of the contexts are among those of another file, which is called `other`."""
        shared = len(self.contexts.intersection(seen))
        if not shared:
            return []
        verb = "is" if shared == 1 else "are"
        return [
            f"warning: {shared:,} of {counted(len(self.contexts), 'context')} of {self.name} {verb} also in {other}, "
            "so the measured figures are better than they will be on new texts"
        ]
