"""Make a checkout of a revision or of a working tree, with a demo artifact that the checkout's own code quantized.

Everything is kept in build/compare under the hash of the git tree, so each content is extracted and quantized once.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.errors import ToolError
from tools.local_server import PROGRAM_DIR

CACHE_DIR = PROGRAM_DIR / "build" / "compare"
HASH_CHARACTERS = 12
QUANTIZE = (
    *("quantize", "--model", "models/demo", "--calibration", "models/demo/calibration.json"),
    *("--evaluation", "models/demo/held_out.json"),
)


@dataclass(frozen=True)
class Checkout:
    """One side of the comparison, ready to be served."""

    name: str  # as the user wrote it
    tree: str  # hash of the git tree
    directory: Path

    @property
    def entrypoint(self) -> str:
        """The checkout's own entrypoint.sh."""
        return str(self.directory / "source" / "entrypoint.sh")

    @property
    def model_dir(self) -> Path:
        """The demo artifact that this checkout made. The schema of the manifest may differ between commits."""
        return self.directory / "demo"


def prepare(name: str) -> Checkout:
    """Extract the sources and quantize the demo model, unless both are cached.

    Args:
        name: a git revision of this repository, or the top directory of a git working tree.

    Raises: ToolError.
    """
    is_working_tree = (Path(name) / "entrypoint.sh").is_file()
    repository = Path(name).resolve() if is_working_tree else PROGRAM_DIR
    tree = working_tree_hash(repository) if is_working_tree else _git(repository, "rev-parse", f"{name}^{{tree}}")
    checkout = Checkout(name, tree, CACHE_DIR / tree[:HASH_CHARACTERS])
    if not (checkout.directory / "source").is_dir():
        extract(repository, tree, checkout.directory / "source")
    if not (checkout.model_dir / "manifest.json").is_file():
        print(f"{name}: quantizing the demo model into {checkout.model_dir}", flush=True)
        _quantize(checkout)
    return checkout


def working_tree_hash(repository: Path) -> str:
    """Return the hash of a git tree that holds all files as they are now, except those that git ignores.

    The files are added to a temporary index, so the user's own index stays as it is.

    Raises: ToolError.
    """
    if Path(_git(repository, "rev-parse", "--show-toplevel")) != repository:
        raise ToolError(f"{repository} is not the top directory of a git working tree")
    with tempfile.TemporaryDirectory() as temporary:
        index = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
        _git(repository, "add", "--all", environment=index)
        return _git(repository, "write-tree", environment=index)


def extract(repository: Path, tree: str, target: Path) -> None:
    """Write the files of a git tree into the directory `target`, which must not exist yet.

    Raises: ToolError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        archive, files = Path(temporary) / "files.tar", Path(temporary) / "files"
        _git(repository, "archive", "--format=tar", f"--output={archive}", tree)
        with tarfile.open(archive) as tar:
            tar.extractall(files, filter="tar")
        files.rename(target)  # Only a complete checkout gets the final name.


def program_path() -> str:
    """Return a PATH on which `python` is the interpreter that runs now, for the entrypoint.sh of a checkout."""
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def _quantize(checkout: Checkout) -> None:
    command = [checkout.entrypoint, *QUANTIZE, "--output", str(checkout.model_dir)]
    environment = {**os.environ, "PATH": program_path()}
    if subprocess.run(command, cwd=checkout.directory / "source", env=environment).returncode:
        raise ToolError(f"{checkout.name} could not quantize the demo model; its message is above")


def _git(repository: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    command = ["git", "-C", str(repository), *arguments]
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout.strip()
