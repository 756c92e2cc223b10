"""Which of the artifact's precisions this server offers, and which of them requests may use already."""

import asyncio
from collections.abc import Sequence

from container.precision import Precision
from model_loader.model_file import ModelFile
from serve.errors import PrecisionUnavailable


class Precisions:
    """The precisions of one model, the preferred one first. files: those that are not withdrawn."""

    def __init__(self, files: Sequence[ModelFile]) -> None:
        self.files = {file.precision: file for file in files}
        self.withdrawn: dict[Precision, str] = {}  # why
        self._decided = {file.precision: asyncio.Event() for file in files}  # accepted or withdrawn

    @property
    def accepted(self) -> list[Precision]:
        """The precisions that answer requests now."""
        return [precision for precision in self.files if self._decided[precision].is_set()]

    @property
    def preferred(self) -> Precision:
        """The precision for a request that names none.

        Raises: PrecisionUnavailable if all precisions were withdrawn.
        """
        for precision in self.files:
            return precision
        raise PrecisionUnavailable("precision: no precision of this model can be served")

    def accept(self, precision: Precision) -> None:
        """Let requests use a precision that has passed its check."""
        self._decided[precision].set()

    def withdraw(self, precision: Precision, reason: str) -> None:
        """Stop serving this precision, or never start."""
        del self.files[precision]
        self.withdrawn[precision] = reason
        self._decided[precision].set()

    async def until_served(self, precision: Precision) -> None:
        """Wait until requests may use a precision. Some become available a few seconds after the server is ready.

        Raises: PrecisionUnavailable if the artifact does not have the precision, or the precision was withdrawn.
        """
        if precision in self.files:
            await self._decided[precision].wait()
        if precision not in self.files:
            raise PrecisionUnavailable(f"precision: {precision} is not loaded; this server has {', '.join(self.files)}")
