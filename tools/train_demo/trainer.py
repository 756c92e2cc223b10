"""One model in training: a step, its state on disk, the checkpoint. Imports torch and transformers."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from tools.errors import ToolError
from tools.train_demo.training_data import Labelled


class Trainer:
    """An encoder with a span head."""

    def __init__(self, encoder: str, output: Path, seed: int, weight_decay: float) -> None:
        """Load the encoder; a head that it lacks is drawn from the seed. Its tokenizer goes to output.

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

    def step(self, batch: Sequence[Labelled], number: int, rate: float, gradient_norm: float) -> float:
        """One step of gradient descent; its loss. Dropout depends on the number alone, so a run can be resumed."""
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

    def _tensors(self, batch: Sequence[Labelled]) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
        """Padded inputs (B, T), and labels (B,)."""
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

    def remember(self, path: Path, key: str, done: int) -> None:
        """Write all that the next step needs."""
        state = {
            "key": key,
            "done": done,
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def resume(self, path: Path, key: str) -> int:
        """How many steps are done: those of an interrupted run with the same key, or none."""
        if not path.is_file():
            return 0
        state = torch.load(path, map_location=self._device, weights_only=True)
        if state["key"] != key:
            return 0
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        return int(state["done"])

    def save(self, directory: Path) -> None:
        """The checkpoint in half precision, which loses nothing that a quantized model would keep."""
        self._model.half().save_pretrained(directory)
        self._model.float()
