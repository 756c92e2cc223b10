"""Docker's HEALTHCHECK command. Its exit code is 0 if the server answers /ping with status 200, and 1 otherwise."""

import sys
import urllib.request

from container.settings import Settings

TIMEOUT_SECONDS = 2  # SageMaker waits this long for an answer to /ping.


def main() -> int:
    """Send one request to /ping and return the exit code."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{Settings.from_env().port}/ping", timeout=TIMEOUT_SECONDS):
            return 0
    except OSError:  # No server listens on the port, or the status is not 200.
        return 1


if __name__ == "__main__":
    sys.exit(main())
