"""Load a Hugging Face question-answering checkpoint from a directory or from the hub.

In this program, only this module and tools.train_demo.trainer import transformers.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# transformers reads this variable when it is imported. Its warnings are advice for training, which does not apply here.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForQuestionAnswering, AutoTokenizer

from model_loader.model_file import InputName
from serve.qa.features import Window
from tools.errors import ToolError

# For each architecture, the tensors that its forward() takes, in that order.
INPUTS: dict[str, tuple[InputName, ...]] = {
    "bert": ("input_ids", "attention_mask", "token_type_ids"),
    "electra": ("input_ids", "attention_mask", "token_type_ids"),
    "distilbert": ("input_ids", "attention_mask"),
}


@dataclass(frozen=True)
class Checkpoint:
    """The configuration of a checkpoint. Each export loads the weights again, since an export changes the model."""

    source: str
    model_type: str
    layers: int
    max_positions: int

    @property
    def inputs(self) -> tuple[InputName, ...]:
        """The tensors that the model's forward() takes, in that order."""
        return INPUTS[self.model_type]

    def load_model(self) -> torch.nn.Module:
        """Load the model in float32. It returns (start_logits, end_logits), (B, T) each.

        NOTE: attention must be eager. IPEX fuses INT8 attention in no other form, and SDPA is 25 % slower.
        Raises: ToolError if weights are missing.
        """
        with _as_tool_error(self.source):
            model, report = AutoModelForQuestionAnswering.from_pretrained(
                self.source,
                dtype=torch.float32,
                attn_implementation="eager",
                return_dict=False,
                output_loading_info=True,
            )
        if report["missing_keys"]:
            raise ToolError(f"{self.source} lacks weights, such as {sorted(report['missing_keys'])[0]}")
        evaluated: torch.nn.Module = model.eval()
        return evaluated

    def save_tokenizer(self, directory: Path) -> None:
        """Write tokenizer.json, the other tokenizer files and config.json into a directory.

        Raises: ToolError.
        """
        with _as_tool_error(self.source):
            tokenizer = AutoTokenizer.from_pretrained(self.source, use_fast=True)
            tokenizer.save_pretrained(directory)
            AutoConfig.from_pretrained(self.source).save_pretrained(directory)
        if not (directory / "tokenizer.json").is_file():
            raise ToolError(f"{self.source} has no tokenizer that the Rust library can run (tokenizer.json)")


def open_checkpoint(source: str) -> Checkpoint:
    """Read the configuration of a checkpoint.

    Raises: ToolError if it cannot be loaded, or is not a question-answering model of a known architecture.
    """
    with _as_tool_error(source):
        config = AutoConfig.from_pretrained(source)
    if config.model_type not in INPUTS:
        raise ToolError(f"{source} is a {config.model_type} model; the known architectures are {', '.join(INPUTS)}")
    architecture = (config.architectures or ["of no named class"])[0]
    if not architecture.endswith("ForQuestionAnswering"):
        raise ToolError(
            f"{source} is not a question-answering model: it is {architecture}. Fine-tune it on SQuAD first"
        )
    return Checkpoint(source, config.model_type, config.num_hidden_layers, config.max_position_embeddings)


@contextmanager
def _as_tool_error(source: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ToolError(f"cannot load checkpoint {source}: {reason}") from None


def tensors(window: Window, inputs: Sequence[InputName]) -> tuple[Any, ...]:
    """Return a window's tensors without padding, (1, T) int64 each."""
    tokens = len(window.input_ids)
    arrays = {
        "input_ids": window.input_ids,
        "attention_mask": np.ones(tokens),
        "token_type_ids": np.arange(tokens) >= window.context_offset,
    }
    return tuple(torch.from_numpy(arrays[name].astype(np.int64))[None] for name in inputs)


def checkpoint_forward(checkpoint: Checkpoint) -> Callable[[Window], tuple[np.ndarray, np.ndarray]]:
    """Load the checkpoint and return a function from a window to its start and end logits, (T,) float32 each.

    The function runs the original model in FP32, unpadded, without TorchScript and without IPEX's kernels. It is the
    reference that every exported file is compared with.
    """
    model = checkpoint.load_model()

    def forward(window: Window) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            start, end = model(*tensors(window, checkpoint.inputs))[:2]
        return start[0].numpy(), end[0].numpy()

    return forward
