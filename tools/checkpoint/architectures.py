"""The architectures that can be quantized and served, and where they differ from each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transformers import PretrainedConfig

from model_loader.model_file import InputName

TOKEN_TYPES = 2  # of question and context
# rewritten: with the rewrites before INT8; static: without them; none: not at all
Int8Support = Literal["rewritten", "static", "none"]


@dataclass(frozen=True)
class Architecture:
    """What the export and the server need to know about a model's class.

    Attributes:
        span_head: the names of the weights that give start and end logits.
        class_name: transformers' class. A checkpoint that names another class in `architectures` has another head,
            even if its weights have the same names. Empty: the names are enough.
        takes_token_types: whether forward() takes token_type_ids.
        positions_after_padding: whether positions are counted from the id of the padding token, so that the table of
            positions has this many rows, and one more, that no token uses.
        int8: whether INT8 works, and whether the rewrites before it do.
    """

    span_head: tuple[str, str] = ("qa_outputs.weight", "qa_outputs.bias")
    class_name: str = ""
    takes_token_types: bool = False
    positions_after_padding: bool = False
    int8: Int8Support = "rewritten"

    def max_positions(self, config: PretrainedConfig) -> int:
        """Return the largest number of tokens in a window."""
        unused = config.pad_token_id + 1 if self.positions_after_padding else 0
        positions: int = config.max_position_embeddings - unused
        return positions

    def inputs(self, config: PretrainedConfig, *, writes_token_types: bool) -> tuple[InputName, ...]:
        """Return the tensors that forward() is called with, in that order.

        writes_token_types: whether the tokenizer writes pairs with the types 0 and 1 for this model. Where it does not,
        transformers calls the model without types, which is the same as with zeros.
        """
        names: Sequence[InputName] = ("input_ids", "attention_mask")
        if self.takes_token_types and writes_token_types and config.type_vocab_size >= TOKEN_TYPES:
            names = (*names, "token_type_ids")
        return tuple(names)


_BERT = Architecture(takes_token_types=True)
_ROBERTA = Architecture(takes_token_types=True, positions_after_padding=True)
ARCHITECTURES = {
    "bert": _BERT,
    "electra": _BERT,
    "distilbert": Architecture(),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    # IPEX 2.8.0 crashes while it fuses the graph of disentangled attention in INT8, also if only the linear layers are
    # quantized.
    "deberta-v2": Architecture(takes_token_types=True, int8="none"),
    # Its linear layers have no biases, which the rewrites need.
    "modernbert": Architecture(
        span_head=("classifier.weight", "classifier.bias"), class_name="ModernBertForQuestionAnswering", int8="static"
    ),
}
