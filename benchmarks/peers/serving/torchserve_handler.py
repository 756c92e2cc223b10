"""A TorchServe handler such as users write. TorchServe's own handler for questions knows neither windows nor offsets.

The handler reads our artifact from ARTIFACT.
"""

import os
from pathlib import Path
from typing import Any

from ts.context import Context
from ts.torch_handler.base_handler import BaseHandler

from benchmarks.peers.serving.padded_model import PaddedModel


class QuestionHandler(BaseHandler):  # type: ignore[misc]  # torchserve is not in the project's environment
    """Answers JSON {"question", "context"} with the best span."""

    def initialize(self, context: Context) -> None:
        """Load and warm the model. TorchServe calls this once in each worker."""
        self.model = PaddedModel(Path(os.environ["ARTIFACT"]))
        self.initialized = True

    def handle(self, data: list[dict[str, Any]], context: Context) -> list[dict[str, str | int | float]]:
        """Answer one batch. A batch has one request, because larger batches gain nothing on a CPU."""
        return [self.model.answer(row["body"]["question"], row["body"]["context"]) for row in data]
