"""The rules of run_qa, Hugging Face's example script for SQuAD: how long texts may be, and what counts as an answer."""

from collections.abc import Sequence
from dataclasses import replace

from serve.qa.spans import SpanRules
from tools.squad.examples import Example

MAX_QUESTION_LEN = 64  # tokens
SPECIAL_TOKENS = 4  # the most that a pair has: <s> question </s></s> context </s>
# run_qa returns one answer of at most 30 tokens, which may begin or end within a word.
EVALUATION_RULES = SpanRules(top_k=1, max_answer_len=30, handle_impossible_answer=False, align_to_words=False)


def is_v2(examples: Sequence[Example]) -> bool:
    """Return whether some questions have no answer, so that the rules of SQuAD v2.0 hold."""
    return not all(example.answers for example in examples)


def rules_for(examples: Sequence[Example]) -> SpanRules:
    """Return the rules by which the answers to these questions are chosen. In v2.0, "no answer" is a candidate."""
    return replace(EVALUATION_RULES, handle_impossible_answer=is_v2(examples))
