"""Docker's HEALTHCHECK: exit code 0 when the server's /ping says 200."""

import sys
import urllib.request

from container.settings import Settings

TIMEOUT_SECONDS = 2  # as long as the platform waits


def main() -> int:
    """Ask once."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{Settings.from_env().port}/ping", timeout=TIMEOUT_SECONDS):
            return 0
    except OSError:  # nobody listens, or another status than 200
        return 1


if __name__ == "__main__":
    sys.exit(main())
