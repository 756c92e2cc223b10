"""The rules of run_qa, Hugging Face's example script for SQuAD: how long a question and an answer may be."""

from serve.qa.spans import SpanRules

MAX_QUESTION_LEN = 64  # tokens
# run_qa returns one answer of at most 30 tokens, which may begin or end within a word.
EVALUATION_RULES = SpanRules(top_k=1, max_answer_len=30, handle_impossible_answer=False, align_to_words=False)
