"""A model in training: its steps, its logits, and its state on disk. Imports torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from serve.qa.features import Window
from tools.checkpoint.checkpoint import Checkpoint
from tools.train_demo.training_data import LabelledWindow


class Trainer:
    """An encoder with a span head, and its optimizer."""

    def __init__(self, checkpoint: Checkpoint, seed: int, weight_decay: float) -> None:
        """Load the encoder. A new span head gets random weights that depend on the seed.

        Raises: ToolError.
        """
        torch.manual_seed(seed)
        self._model = checkpoint.load_for_training()
        self._inputs = checkpoint.inputs
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.to(self._device)
        self._optimizer = torch.optim.AdamW(self._model.parameters(), weight_decay=weight_decay, fused=True)

    def step(self, batch: Sequence[LabelledWindow], number: int, rate: float, gradient_norm: float) -> float:
        """Run one step of gradient descent and return the loss.

        Dropout depends only on the number of the step, so a resumed run gives the same weights as an uninterrupted run.
        """
        self._model.train()
        torch.manual_seed(number)
        starts = torch.tensor([each.start for each in batch], device=self._device)
        ends = torch.tensor([each.end for each in batch], device=self._device)
        with torch.autocast(self._device.type, torch.bfloat16):
            loss = self._model(**self._tensors(batch), start_positions=starts, end_positions=ends).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), gradient_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(loss.detach())

    def logits(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Return the start and end logits of a window with the present weights, (T,) float32 each."""
        self._model.eval()
        with torch.no_grad():
            output = self._model(**self._tensors([window]))
        return output.start_logits[0].cpu().numpy(), output.end_logits[0].cpu().numpy()

    def _tensors(self, batch: Sequence[LabelledWindow | Window]) -> dict[str, torch.Tensor]:
        """Return the model's inputs, padded, (B, T) each."""
        shape = (len(batch), max(len(each.input_ids) for each in batch))
        ids, mask, types = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
        for row, each in enumerate(batch):
            length = len(each.input_ids)
            ids[row, :length] = torch.from_numpy(each.input_ids)
            mask[row, :length] = 1
            types[row, each.context_offset : length] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return {name: inputs[name].to(self._device) for name in self._inputs}

    def save_state(self, path: Path, progress: Mapping[str, Any]) -> None:
        """Write everything that the next step needs. progress: what the caller needs to continue, of plain types."""
        state = {
            "progress": dict(progress),
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def restore_state(self, path: Path) -> dict[str, Any]:
        """Restore the state of an interrupted run, and return what its caller had saved with it."""
        state = torch.load(path, map_location=self._device, weights_only=True)
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        progress: dict[str, Any] = state["progress"]
        return progress

    def save_weights(self, path: Path) -> None:
        """Write the present weights alone, for load_mean."""
        partial = path.with_suffix(".partial")
        save_file({name: tensor.contiguous() for name, tensor in self._model.state_dict().items()}, partial)
        partial.replace(path)

    def load_mean(self, paths: Sequence[Path]) -> None:
        """Replace the present weights by the mean of saved ones."""
        mean: dict[str, torch.Tensor] = {}
        for path in paths:
            for name, tensor in load_file(path).items():
                mean[name] = mean[name] + tensor / len(paths) if name in mean else tensor / len(paths)
        self._model.load_state_dict(mean)

    def save(self, directory: Path) -> None:
        """Write the checkpoint in half precision. Quantization keeps fewer digits, so half precision loses nothing."""
        self._model.half().save_pretrained(directory)
        self._model.float()
