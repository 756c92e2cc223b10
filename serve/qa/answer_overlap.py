"""The F1 score of the words of two answers, by SQuAD's official rules. Pure."""

import re
import string
from collections import Counter

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def overlap(answer: str, other: str) -> float:
    """Return the F1 of two answers, 0 to 1. Two answers without words agree fully."""
    words, others = normalize_answer(answer).split(), normalize_answer(other).split()
    return overlap_of_words(words, others) if words and others else float(words == others)


def normalize_answer(text: str) -> str:
    """Lower the case and remove punctuation, articles and extra white space, in the official script's order."""
    without_punctuation = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", without_punctuation).split())


def overlap_of_words(answer: list[str], gold: list[str]) -> float:
    """Return the F1 of two lists of words, 0 to 1."""
    common = sum((Counter(answer) & Counter(gold)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(answer), common / len(gold)
    return 2 * precision * recall / (precision + recall)
