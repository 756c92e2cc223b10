"""What a model reads for one window and what it returns. Plain data: both sides of the lanes' socket use it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from container.precision import Precision


@dataclass(frozen=True, eq=False)
class ModelInput:
    """The tokens of one window, unpadded.

    input_ids: (T,) int32, [CLS] question [SEP] context [SEP]. context_offset: the position where the context begins;
    the tokens from there on have token type 1.
    """

    input_ids: np.ndarray
    context_offset: int


class WindowLogits(NamedTuple):
    """The start and end logits of one window, (T,) float32 each.

    Of a token-relevance model: the logits of the class of other tokens, and of the class of relevant tokens.
    """

    start: np.ndarray
    end: np.ndarray


RunWindows = Callable[[Precision, Sequence[ModelInput]], Awaitable[Sequence[WindowLogits]]]
