"""How a tokenizer writes a question and a context for its model."""

from dataclasses import dataclass
from itertools import groupby

import numpy as np
from tokenizers import Tokenizer

LETTERS = ("a", "1", ".", "\u4e00")  # a vocabulary can lack some of them


@dataclass(frozen=True, eq=False)
class PairFrame:
    """The special tokens of a pair: `first` question `middle` context `last`.

    BERT writes [CLS] question [SEP] context [SEP], and RoBERTa <s> question </s></s> context </s>. The first token is
    the one at which models that were trained on SQuAD 2.0 point if there is no answer.

    first, middle, last: ids, (1,), (M,) and (1,) int32. context_type: the token type of context and `last`, 0 or 1;
    that of all other tokens is 0. names: the special tokens with their ids.
    """

    first: np.ndarray
    middle: np.ndarray
    last: np.ndarray
    context_type: int
    names: dict[str, int]

    @property
    def tokens(self) -> int:
        """The number of special tokens."""
        return len(self.first) + len(self.middle) + len(self.last)


def pair_frame(tokenizer: Tokenizer) -> PairFrame:
    """Find out how a tokenizer writes a pair.

    Raises: ValueError if it writes pairs in another way.
    """
    letter = next((each for each in LETTERS if tokenizer.encode(each, add_special_tokens=False).ids), "")
    pair = tokenizer.encode(letter, letter)
    tokens = zip(pair.sequence_ids, pair.ids, pair.type_ids, pair.tokens, strict=True)
    parts = [(key, list(part)) for key, part in groupby(tokens, key=lambda token: token[0])]
    order = [key for key, _ in parts]
    types = [sorted({type_ for _, _, type_, _ in part}) for _, part in parts]
    if order != [None, 0, None, 1, None] or types not in ([[0]] * 5, [[0]] * 3 + [[1]] * 2):
        raise ValueError(
            "it does not write pairs as BERT or RoBERTa do: [CLS] question [SEP] context [SEP], with the token types 0 "
            "and 1 or with 0 alone"
        )
    special = [parts[index][1] for index in (0, 2, 4)]
    first, middle, last = (np.array([id_ for _, id_, _, _ in part], dtype=np.int32) for part in special)
    if len(first) != 1 or len(last) != 1:
        raise ValueError("it writes more than one special token before the question, or after the context")
    names = {name: id_ for part in special for _, id_, _, name in part}
    return PairFrame(first, middle, last, types[3][0], names)
