"""A checkpoint with a span head or a token head: its configuration, its model in FP32, and its tokenizer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForQuestionAnswering, AutoModelForTokenClassification, PretrainedConfig

from model_loader.model_file import InputName
from serve.qa.features import Featurizer, Window
from tools.checkpoint.architectures import ARCHITECTURES, Architecture
from tools.checkpoint.configuration import read_configuration
from tools.checkpoint.errors import as_tool_error
from tools.checkpoint.heads import Head, TwoClasses, recognize, span_head
from tools.checkpoint.source import check_source
from tools.checkpoint.tokenizer import load_saved_tokenizer, save_tokenizer, writes_token_types
from tools.checkpoint.weights import check_complete, check_stored, check_used, loading_options, weight_names

OUTPUTS = 2  # of each head for a token: start and end logits, or the logits of two classes
# The probability of dropout in attention, by the name that each architecture gives it.
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")
# Start and end logits of one window, or the logits of the two classes, (T,) float32 each.
Logits = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Checkpoint:
    """The configuration of a checkpoint. Each export loads the weights again, since an export changes the model.

    embedding_rows: the number of rows of the word embedding. allow_pickle: whether its weights may be a pickle.
    needs_span_head: False for an encoder that is about to be fine-tuned.
    """

    source: str
    model_type: str
    layers: int
    max_positions: int
    embedding_rows: int
    head: Head
    allow_pickle: bool = False
    needs_span_head: bool = True

    @property
    def architecture(self) -> Architecture:
        """What the model's class is like."""
        return ARCHITECTURES[self.model_type]

    @cached_property
    def inputs(self) -> tuple[InputName, ...]:
        """The tensors that the model is called with, in that order. They depend on its class and on its tokenizer."""
        with as_tool_error(self.source):
            writes_types = self.architecture.takes_token_types and writes_token_types(self.source)
            return self.architecture.inputs(read_configuration(self.source), writes_token_types=writes_types)

    def load_model(self) -> torch.nn.Module:
        """Load the model in float32. It returns (start_logits, end_logits), (B, T) each, or the logits of two classes.

        NOTE: attention must be eager. IPEX fuses INT8 attention in no other form, and SDPA is 25 % slower.
        Raises: ToolError if weights are missing, or if the encoder's are not all used.
        """
        config = read_configuration(self.source)
        config.return_dict = False
        model = self._load(config, attention="eager")
        return (TwoClasses(model, self.head.relevant) if self.head.task == "token-relevance" else model).eval()

    def load_for_training(self) -> torch.nn.Module:
        """Load the model in float32. A checkpoint without a span head gets a new one with random weights.

        Attention has no dropout, because torch's fast attention on CPU supports none: a step takes half the time.

        Raises: ToolError as load_model does.
        """
        config = read_configuration(self.source)
        for name in ATTENTION_DROPOUT:
            if hasattr(config, name):
                setattr(config, name, 0.0)
        return self._load(config, attention=None)

    def _load(self, config: PretrainedConfig, attention: str | None) -> torch.nn.Module:
        config.num_labels = OUTPUTS
        is_span_model = self.head.task == "question-answering"
        auto_class = AutoModelForQuestionAnswering if is_span_model else AutoModelForTokenClassification
        with as_tool_error(self.source):
            model, report = auto_class.from_pretrained(
                self.source,
                config=config,
                dtype=torch.float32,
                attn_implementation=attention,
                output_loading_info=True,
                **loading_options(self.source, self.allow_pickle),
            )
        head = self.head
        missing = set(report["missing_keys"]) - (set() if self.needs_span_head else set(head.weights))
        check_complete(self.source, missing, report["unexpected_keys"], head)
        used = f"{model.base_model_prefix}.", f"{head.weights[0].partition('.')[0]}."
        check_used(self.source, report["unexpected_keys"], used)
        loaded: torch.nn.Module = model
        return loaded

    def save_configuration(self, directory: Path) -> None:
        """Write config.json into a directory."""
        read_configuration(self.source).save_pretrained(directory)

    def save_tokenizer(self, directory: Path) -> Featurizer:
        """Write tokenizer.json and the other tokenizer files into a directory, and load the tokenizer from there.

        Raises: ToolError if the server cannot run the tokenizer, or if it does not fit the model.
        """
        with as_tool_error(self.source):
            save_tokenizer(self.source, directory)
        return load_saved_tokenizer(self.source, directory, self.embedding_rows)


def open_checkpoint(source: str, *, allow_pickle: bool = False, needs_span_head: bool = True) -> Checkpoint:
    """Read the configuration of a checkpoint, and check what can be checked before its weights are loaded.

    needs_span_head: False for an encoder that is about to be fine-tuned.

    Raises: ToolError if it cannot be loaded, or is no model of a known architecture with a span head or a token head.
    """
    with as_tool_error(source):
        check_source(source)
    config = read_configuration(source)
    with as_tool_error(source):
        loading_options(source, allow_pickle)  # weights that cannot be loaded are refused before any other work
        names = weight_names(source)
        architecture = ARCHITECTURES[config.model_type]
        head = recognize(source, config, architecture, names) if needs_span_head else span_head(architecture)
        check_stored(source, config, head if needs_span_head else None, names)
    return Checkpoint(
        source,
        config.model_type,
        config.num_hidden_layers,
        architecture.max_positions(config),
        config.vocab_size,
        head,
        allow_pickle,
        needs_span_head,
    )


def tensors(window: Window, inputs: Sequence[InputName]) -> tuple[Any, ...]:
    """Return a window's tensors without padding, (1, T) int64 each."""
    tokens = len(window.input_ids)
    arrays = {
        "input_ids": window.input_ids,
        "attention_mask": np.ones(tokens),
        "token_type_ids": np.arange(tokens) >= window.context_offset,
    }
    return tuple(torch.from_numpy(arrays[name].astype(np.int64))[None] for name in inputs)


def model_forward(model: torch.nn.Module, inputs: Sequence[InputName]) -> Callable[[Window], Logits]:
    """Return a function from a window to a model's two logits for each token, unpadded."""

    def forward(window: Window) -> Logits:
        with torch.no_grad():
            start, end = model(*tensors(window, inputs))[:2]
        return start[0].numpy(), end[0].numpy()

    return forward


def checkpoint_forward(checkpoint: Checkpoint) -> Callable[[Window], Logits]:
    """Load the checkpoint and return a function from a window to its logits.

    The function runs the original model in FP32, unpadded, without TorchScript and without IPEX's kernels. It is the
    reference that every exported file is compared with.
    """
    return model_forward(checkpoint.load_model(), checkpoint.inputs)
