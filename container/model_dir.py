"""Choose the directory to serve: MODEL_DIR, or the demo model of the image if there is no model at the default."""

import logging
from pathlib import Path

from container import contract

log = logging.getLogger(__name__)

DEMO_DIR = Path("/opt/demo")  # The Dockerfile creates this directory.


def choose(directory: Path, is_default: bool) -> Path:
    """Return the directory to serve. is_default says that MODEL_DIR is not set, and directory is its default.

    The result is the demo model if is_default is true and the directory is missing or empty. A directory with content
    is never replaced, even if the model in it is broken.
    """
    has_content = directory.is_dir() and any(directory.iterdir())
    if has_content or not is_default or not (DEMO_DIR / "manifest.json").is_file():
        return directory
    log.warning("no model at %s: serving the small demo model. Mount an artifact there to serve yours", directory)
    return DEMO_DIR


def of_many_models(directory: Path = Path(contract.MULTI_MODEL_DIR)) -> Path | None:
    """Return the directory below which SageMaker puts a multi-model endpoint's models, or None if there is none.

    A server that cannot read it must not give up root, because each load of a model would fail later.
    """
    return directory if directory.is_dir() else None
