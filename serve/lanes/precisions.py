"""How far each precision is: loading, warm on some lane, then served, unless it is withdrawn."""

import asyncio
from collections.abc import Sequence

from container.precision import Precision
from model_loader.model_file import ModelFile
from serve.errors import PrecisionUnavailable


class Precisions:
    """The artifact's precisions on this server, the preferred one first."""

    def __init__(self, files: Sequence[ModelFile]) -> None:
        self.files = {file.precision: file for file in files}
        self._warm: dict[Precision, asyncio.Future[None]] = {}  # the longest rung is warm in lanes
        self._decided: dict[Precision, asyncio.Future[None]] = {}  # its golden examples are passed, or it is withdrawn

    def open(self) -> None:
        """Begin; needs a running event loop."""
        loop = asyncio.get_running_loop()
        self._warm = {precision: loop.create_future() for precision in self.files}
        self._decided = {precision: loop.create_future() for precision in self.files}

    @property
    def accepted(self) -> list[Precision]:
        """Those that are served."""
        return [precision for precision in self.files if self._decided[precision].done()]

    @property
    def preferred(self) -> Precision:
        """What a request gets that asks for none.

        Raises: PrecisionUnavailable where all were withdrawn.
        """
        for precision in self.files:
            return precision
        raise PrecisionUnavailable("version: no precision of this model can be served")

    def set_warm(self, precision: Precision) -> None:
        """It can be tested now."""
        self._warm[precision].set_result(None)

    def fail(self, error: Exception) -> None:
        """The first that is not warm yet never will be."""
        for warm in self._warm.values():
            if not warm.done():
                warm.set_exception(error)
                return

    async def until_warm(self, precision: Precision) -> None:
        """Wait until it can be tested.

        Raises: ModelLoadError.
        """
        await asyncio.shield(self._warm[precision])

    def accept(self, precision: Precision) -> None:
        """Serve it: it has passed its tests."""
        self._decided[precision].set_result(None)

    def withdraw(self, precision: Precision) -> None:
        """Serve it no more, or never."""
        del self.files[precision]
        if not self._decided[precision].done():
            self._decided[precision].set_result(None)

    async def until_decided(self, precision: Precision) -> None:
        """Wait until it is accepted or withdrawn."""
        await asyncio.shield(self._decided[precision])

    async def until_served(self, precision: Precision) -> None:
        """Wait until it is accepted; for a few seconds after the first one is, another may not be yet.

        Raises: PrecisionUnavailable.
        """
        if precision in self.files:
            await self.until_decided(precision)
        if precision not in self.files:
            raise PrecisionUnavailable(f"version: {precision} is not loaded; here is {', '.join(self.files)}")
