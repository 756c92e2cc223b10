"""Train one model: run its steps, keep its state on disk, and write its checkpoint. Imports torch and transformers."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from tools.errors import ToolError
from tools.train_demo.training_data import LabelledWindow


class Trainer:
    """An encoder with a span head, and its optimizer."""

    def __init__(self, encoder: str, output: Path, seed: int, weight_decay: float) -> None:
        """Load the encoder, and write its tokenizer into the output directory.

        If the encoder has no span head, a new span head gets random weights that depend on the seed.

        Raises: ToolError.
        """
        torch.manual_seed(seed)
        try:
            self._model = AutoModelForQuestionAnswering.from_pretrained(encoder, dtype=torch.float32)
            AutoTokenizer.from_pretrained(encoder, use_fast=True).save_pretrained(output)
        except (OSError, ValueError) as error:
            raise ToolError(f"cannot load {encoder}: {str(error).strip().splitlines()[0]}") from None
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.to(self._device).train()
        self._optimizer = torch.optim.AdamW(self._model.parameters(), weight_decay=weight_decay)

    def step(self, batch: Sequence[LabelledWindow], number: int, rate: float, gradient_norm: float) -> float:
        """Run one step of gradient descent and return the loss.

        Dropout depends only on the number of the step, so a resumed run gives the same weights as an uninterrupted run.
        """
        torch.manual_seed(number)
        inputs, starts, ends = self._tensors(batch)
        with torch.autocast(self._device.type, torch.bfloat16):
            loss = self._model(**inputs, start_positions=starts, end_positions=ends).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), gradient_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(loss.detach())

    def _tensors(self, batch: Sequence[LabelledWindow]) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
        """Return padded inputs, (B, T) each, and the labels of start and end, (B,) each."""
        shape = (len(batch), max(len(each.window.input_ids) for each in batch))
        ids, mask, types = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
        for row, each in enumerate(batch):
            length = len(each.window.input_ids)
            ids[row, :length] = torch.from_numpy(each.window.input_ids)
            mask[row, :length] = 1
            types[row, each.window.context_offset : length] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        if self._model.config.model_type == "distilbert":
            del inputs["token_type_ids"]
        moved = {name: tensor.to(self._device) for name, tensor in inputs.items()}
        starts = torch.tensor([each.start for each in batch], device=self._device)
        ends = torch.tensor([each.end for each in batch], device=self._device)
        return moved, starts, ends

    def save_state(self, path: Path, key: str, done: int) -> None:
        """Write everything that the next step needs. key: identifies the run; done: the number of steps so far."""
        state = {
            "key": key,
            "done": done,
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def restore_state(self, path: Path, key: str) -> int:
        """Restore the state of an interrupted run with the same key; return the number of its steps, or 0."""
        if not path.is_file():
            return 0
        state = torch.load(path, map_location=self._device, weights_only=True)
        if state["key"] != key:
            return 0
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        return int(state["done"])

    def save(self, directory: Path) -> None:
        """Write the checkpoint in half precision. Quantization keeps fewer digits, so half precision loses nothing."""
        self._model.half().save_pretrained(directory)
        self._model.float()
