"""Cut windows from text and find the answer in logits, for every peer that leaves this to us.

The peers share this module, so only their engines and their serving differ. It needs only numpy and tokenizers, because
it runs in each peer's environment. The rules are those of transformers' run_qa: windows of 384 tokens that overlap by
128 tokens, the best start logit + end logit over the context, and answers of at most 30 tokens.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from tokenizers import Encoding, Tokenizer

MAX_SEQ_LEN = 384
DOC_STRIDE = 128
MAX_ANSWER_LEN = 30
Logits = tuple[np.ndarray, np.ndarray]  # start and end logits of one window, (T,) float32 each


class Reader:
    """Cuts windows with the checkpoint's own tokenizer, and finds answers in logits. It is thread-safe."""

    def __init__(self, tokenizer_file: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.enable_truncation(MAX_SEQ_LEN, stride=DOC_STRIDE, strategy="only_second")
        self._tokenizer.no_padding()

    def windows(self, question: str, context: str) -> list[Encoding]:
        """Return all windows of a question over its context, without padding."""
        first = self._tokenizer.encode(question, context)
        return [first, *first.overflowing]

    def answer(
        self, context: str, windows: Sequence[Encoding], logits: Sequence[Logits]
    ) -> dict[str, str | int | float]:
        """Return the span with the largest start logit + end logit, in code points of the context."""
        spans = [_best_span(window, *pair) for window, pair in zip(windows, logits, strict=True)]
        score, start, end = max(spans)
        return {"answer": context[start:end], "start": start, "end": end, "score": score}


def tensors(window: Encoding) -> dict[str, np.ndarray]:
    """Return a window as the model's inputs, (1, T) int64 each."""
    return {
        "input_ids": np.array([window.ids]),
        "attention_mask": np.array([window.attention_mask]),
        "token_type_ids": np.array([window.type_ids]),
    }


def _best_span(window: Encoding, start: np.ndarray, end: np.ndarray) -> tuple[float, int, int]:
    """Return the score, start and end of a window's best span; an empty span if the window holds no context."""
    if 1 not in window.sequence_ids:
        return float("-inf"), 0, 0
    offset = window.sequence_ids.index(1)
    part = slice(offset, len(window.ids) - 1)  # The last token is [SEP].
    beyond = np.full(MAX_ANSWER_LEN - 1, -np.inf, dtype=np.float32)
    ends = sliding_window_view(np.concatenate((end[part], beyond)), MAX_ANSWER_LEN)  # (C, 30): row i has ends i to i+29
    sums = start[part, None] + ends  # (C, 30)
    first, more = divmod(int(sums.argmax()), MAX_ANSWER_LEN)
    return float(sums[first, more]), window.offsets[offset + first][0], window.offsets[offset + first + more][1]
