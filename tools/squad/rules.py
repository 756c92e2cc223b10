"""The rules by which run_qa, Hugging Face's example script, takes an answer from the logits of SQuAD's questions."""

from serve.qa.spans import SpanRules

MAX_QUESTION_LEN = 64  # tokens
EVALUATION_RULES = SpanRules(top_k=1, max_answer_len=30, handle_impossible_answer=False, align_to_words=False)
