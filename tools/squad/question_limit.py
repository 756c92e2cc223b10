"""Questions that cannot be asked as they are: too long ones are cut, and ones without words are not asked.

The server refuses both. run_squad, the script that SQuAD's published scores come from, cuts a question after 64 tokens.
"""

from tools.squad.rules import MAX_QUESTION_LEN


class QuestionLimit:
    """How many tokens of a question are asked. `cut` and `blank` are the ids of the questions that it concerned.

    A blank question counts as answered by the empty text.
    """

    def __init__(self, tokens: int = MAX_QUESTION_LEN) -> None:
        self.tokens = tokens
        self.cut: set[str] = set()
        self.blank: set[str] = set()

    def notes(self) -> list[str]:
        """Return one line for each kind of question that was not asked as it is in the file."""
        lines = []
        if self.cut:
            lines.append(
                f"{len(self.cut)} question(s) with more than {self.tokens} tokens were cut after {self.tokens} tokens"
            )
        if self.blank:
            lines.append(f"{len(self.blank)} question(s) without words were not asked, and count as not answered")
        return lines
