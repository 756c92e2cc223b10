"""How long all answers to one request may be together, so that no response needs much more memory than its request."""

from collections.abc import Iterable, Sequence

from serve.errors import PayloadTooLarge
from serve.qa.ranking.candidates import Candidate
from serve.qa.types import Question

# An answer needs about six times its characters and these, as an object, as JSON and in the buffers of its connection.
# All answers to one request so need 12 MB and six times the request's texts at most.
ANSWER_CHARS = 200
DETAILED_ANSWER_CHARS = 400  # of an answer that reports more than its score
ALL_ANSWERS_CHARS = 2_000_000
LOWER_FOR_ANSWERS = "parameters.top_k or parameters.max_answer_len"


class AnswerRoom:
    """How long all answers to one request may be together."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._left = ALL_ANSWERS_CHARS + sum(len(question.text) + len(question.context) for question in questions)

    def take(self, spans: Sequence[Candidate], answer_chars: int = ANSWER_CHARS) -> None:
        """Reserve room for answers, each of which needs answer_chars beside its text.

        Raises: PayloadTooLarge if there is too little.
        """
        self._take(sum([end - start for _, (start, end) in spans]) + answer_chars * len(spans))

    def take_texts(
        self,
        lengths: Iterable[int],
        answer_chars: int = DETAILED_ANSWER_CHARS,
        lower: str = LOWER_FOR_ANSWERS,
    ) -> None:
        """Reserve room for texts of these lengths, each of which needs answer_chars beside it. lower: what can help.

        Raises: PayloadTooLarge if there is too little.
        """
        self._take(sum(length + answer_chars for length in lengths), lower)

    def _take(self, characters: int, lower: str = LOWER_FOR_ANSWERS) -> None:
        self._left -= characters
        if self._left < 0:
            raise PayloadTooLarge(
                f"the answers would need much more memory than the request; lower {lower}, or split the request"
            )
