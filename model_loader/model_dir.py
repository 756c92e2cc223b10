"""Which directory is served: the one that was named or mounted, or the image's demo model where nothing was."""

import logging
from pathlib import Path

log = logging.getLogger(__name__)

DEMO_DIR = Path("/opt/demo")  # the Dockerfile puts it there


def choose(directory: Path, is_default: bool) -> Path:
    """The demo model's directory where MODEL_DIR was not set and nothing is mounted at its default, else directory.

    What is mounted but broken is never replaced.
    """
    has_content = directory.is_dir() and any(directory.iterdir())
    if has_content or not is_default or not (DEMO_DIR / "manifest.json").is_file():
        return directory
    log.warning("no model at %s: this is the small demo model. Mount an artifact there to serve yours", directory)
    return DEMO_DIR
