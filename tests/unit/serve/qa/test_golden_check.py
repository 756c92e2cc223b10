"""A precision that a new zygote has loaded is checked again: its file, and its golden examples."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from container.precision import Precision
from model_loader import manifest as manifests
from model_loader.errors import ArtifactInvalid, ModelLoadError, WarmupFailed
from model_loader.manifest import Manifest
from model_loader.model_io import ModelInput, RunWindows, WindowLogits
from serve.qa.golden_check import check_file, check_logits


def recorded(manifest: Manifest, shift: float) -> RunWindows:
    """Return the logits that the manifest recorded, shifted by a number."""

    async def run(precision: Precision, inputs: Sequence[ModelInput]) -> list[WindowLogits]:
        assert [each.input_ids.tolist() for each in inputs] == [each.input_ids for each in manifest.golden_examples]
        found = [each.results[precision] for each in manifest.golden_examples]
        return [
            WindowLogits(*(np.array(logits, np.float32) + shift for logits in (each.start_logits, each.end_logits)))
            for each in found
        ]

    return run


@pytest.mark.parametrize(
    ("shift", "is_damaged", "error"),
    [(0.0, False, None), (10.0, False, WarmupFailed), (0.0, True, ArtifactInvalid)],
    ids=["right", "other logits", "other file"],
)
def test_the_file_and_the_golden_examples_are_checked(
    demo_dir: Path, tmp_path: Path, shift: float, is_damaged: bool, error: type[ModelLoadError] | None
) -> None:
    manifest = manifests.read(demo_dir)
    file = Path(shutil.copy(demo_dir / "model_int8.pt", tmp_path))
    if is_damaged:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)

    async def check() -> None:
        await check_file(tmp_path, manifest, "INT8")
        await check_logits(manifest, "INT8", recorded(manifest, shift))

    if error is None:
        asyncio.run(check())
    else:
        with pytest.raises(error):
            asyncio.run(check())
