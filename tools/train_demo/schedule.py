"""The order in which a run asks its questions: the windows of each phase in random order, in batches."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tools.train_demo.settings import Phase, TrainingSettings, files_of
from tools.train_demo.training_data import WindowFile

LENGTH_STEP = 16  # tokens; windows of about the same length go into the same batch


def all_batches(windows: WindowFile, settings: TrainingSettings) -> list[np.ndarray]:
    """Return the batches of the whole run, phase after phase. A batch holds positions in the window file, (B,) each.

    windows: has a part for each of files_of(settings.phases).
    """
    parts = dict(zip(files_of(settings.phases), windows.parts, strict=True))
    batches = []
    for number, phase in enumerate(settings.phases):
        asked = _positions(phase, parts)
        batches += make_batches(windows.lengths, asked, settings.tokens_per_step, settings.seed + number)
    return batches


def _positions(phase: Phase, parts: Mapping[Path, range]) -> np.ndarray:
    """Return the positions of the windows of a phase, (N,), each as often as it is asked."""
    return np.concatenate([np.tile(np.asarray(parts[file], dtype=np.int64), times) for file, times in phase.files])


def make_batches(lengths: np.ndarray, positions: np.ndarray, tokens: int, seed: int) -> list[np.ndarray]:
    """Return the positions, each once, in batches of at most `tokens` tokens with padding.

    Windows of similar length share a batch; the order of the batches is random. All of it depends on the seed alone.

    lengths: (M,), the length in tokens of the window at each position.
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(positions)
    shuffled = shuffled[np.argsort(lengths[shuffled] // LENGTH_STEP, kind="stable")]
    cuts, longest, begin = [], 0, 0
    for at, length in enumerate(lengths[shuffled].tolist()):
        longest = max(longest, length)
        if at > begin and longest * (at - begin + 1) > tokens:
            cuts.append(at)
            longest, begin = length, at
    batches = np.split(shuffled, cuts)
    return [batches[index] for index in random.permutation(len(batches))]
