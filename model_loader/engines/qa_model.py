"""A loaded model, on any engine: it pads windows to a rung, runs them, and warms a shape before it is used.

Other modules pass and receive numpy arrays only, so that they need no engine.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_loader.errors import WarmupFailed
from model_loader.ladder import Batch
from model_loader.model_file import InputName, ModelFile
from model_loader.model_io import ModelInput

Logits = tuple[np.ndarray, np.ndarray]  # start logits and end logits
Inputs = dict[InputName, np.ndarray]  # (W, rung) int64 each


@dataclass(frozen=True)
class WarmRung:
    """The measurements from warming one shape.

    cost_ms, cpu_ms: milliseconds of one call, on the clock and on the CPUs.
    """

    cost_ms: float
    cpu_ms: float
    fused_groups: int


class QAModel(ABC):
    """One model. It is not thread-safe: only the thread that compiled a shape can use it.

    must_load_again: whether a forked process must load the model again if it is to run on more than one thread.
    """

    must_load_again = False

    def __init__(self, file: ModelFile) -> None:
        self.file = file
        self.warm_rungs: set[int] = set()  # for one window
        self.warm_batches: set[Batch] = set()

    @abstractmethod
    def use_threads(self, threads: int) -> None:
        """Run on so many threads from now on. It is called once, before the first pass of this process."""

    def pin_threads(self) -> None:  # noqa: B027 - an engine may pin its threads itself
        """Pin each thread of a pass to a core of its own. It is called after a pass."""

    @abstractmethod
    def count_fused_groups(self) -> int:
        """Return how many groups of operations the last pass ran as the file's precision wants (ModelFile)."""

    @abstractmethod
    def _run(self, inputs: Inputs) -> Logits:
        """Run one call of the model. Returns two arrays (W, rung) of float32, which later calls leave alone."""

    def _prepare(self, tokens: int) -> None:  # noqa: B027 - an engine need not prepare anything
        """Run what must come before the first shape is measured. tokens: the longest window that may be run for it."""

    @property
    def passes_to_warm(self) -> int:
        """The number of passes of a new shape, of which the last one shows the cost."""
        return 2

    def forward(self, input_ids: np.ndarray, context_offset: int, rung: int) -> Logits:
        """Run one window, padded to a rung, and return its start logits and its end logits.

        Shapes: input_ids is (T,) integers with T <= rung. The result is two arrays (T,) of float32.
        """
        return self.forward_batch([ModelInput(input_ids, context_offset)], rung)[0]

    def forward_batch(self, windows: Sequence[ModelInput], rung: int) -> list[Logits]:
        """Run windows in one call, each padded to a rung, and return the start and end logits of each.

        Shapes: the input_ids of each window are (T,) integers with T <= rung, and its two arrays are (T,) float32.
        """
        ids, mask, types = np.zeros((3, len(windows), rung), dtype=np.int64)
        for row, window in enumerate(windows):
            tokens = len(window.input_ids)
            ids[row, :tokens] = window.input_ids
            mask[row, :tokens] = 1
            types[row, window.context_offset : tokens] = 1
        start, end = self._run({"input_ids": ids, "attention_mask": mask, "token_type_ids": types})
        lengths = [len(window.input_ids) for window in windows]
        return [(start[row, :tokens], end[row, :tokens]) for row, tokens in enumerate(lengths)]

    def warm(self, rung: int, windows: int = 1) -> WarmRung:
        """Compile one shape, measure its cost, and check that the fast kernels run and the logits are finite.

        windows: the number of windows in one call.

        Raises: WarmupFailed.
        """
        window = np.ones(rung, dtype=np.int64)
        batch = [ModelInput(window, rung // 4)] * windows
        try:
            self._prepare(rung)
            for _ in range(self.passes_to_warm):
                start, cpu_start = time.perf_counter(), time.process_time()
                logits = self.forward_batch(batch, rung)
                cost_ms, cpu_ms = ((time.perf_counter() - start) * 1000, (time.process_time() - cpu_start) * 1000)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise WarmupFailed(f"{self.file.precision} cannot run {_described(rung, windows)}: {reason}") from error
        if not all(part.shape == (rung,) and np.isfinite(part).all() for pair in logits for part in pair):
            raise WarmupFailed(
                f"{self.file.precision} returned NaN, infinity or too few logits for {_described(rung, windows)}"
            )
        fused_groups = self.count_fused_groups()
        self._check_fused(fused_groups)
        if windows == 1:
            self.warm_rungs.add(rung)
        else:
            self.warm_batches.add(Batch(rung, windows))
        return WarmRung(cost_ms, cpu_ms, fused_groups)

    def forget_warm(self) -> None:
        """Note that nothing is warm: compiled shapes belong to a number of threads, which is about to change."""
        self.warm_rungs.clear()
        self.warm_batches.clear()

    def _check_fused(self, fused_groups: int) -> None:
        expected = self.file.fused_groups
        if expected is not None and fused_groups != expected:
            raise WarmupFailed(
                f"{self.file.precision} has {fused_groups} fused groups, but had {expected} at quantization. Without "
                "fusion it is slow and returns different logits. Check the versions of the engine's packages"
            )


def _described(rung: int, windows: int) -> str:
    return f"a window of {rung} tokens" if windows == 1 else f"{windows} windows of {rung} tokens in one call"
