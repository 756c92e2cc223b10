"""The output directory of quantize: what it may replace, and how only a complete artifact takes its place."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_loader import manifest
from tools.errors import ToolError


def check_output(output: Path) -> None:
    """Check that the output can be written, and that it replaces nothing but an artifact.

    Raises: ToolError.
    """
    if output.exists() and not output.is_dir():
        raise ToolError(f"--output {output} is a file; name a directory")
    if output.is_dir() and any(output.iterdir()) and not (output / manifest.FILE_NAME).is_file():
        raise ToolError(f"--output {output} holds files that are not an artifact; name another directory")
    existing = next(parent for parent in output.absolute().parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        raise ToolError(f"--output {output} cannot be written: {error.strerror}") from None


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """Yield a new directory, which takes the place of the output at the end. After an error the output is unchanged."""
    output.parent.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        yield directory
        directory.chmod(0o755)  # mkdtemp allows only its own user, but the server may run as another one
        old = directory.with_name(directory.name + "-old")
        if output.exists():
            output.rename(old)
        directory.rename(output)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
