"""Docker's HEALTHCHECK command. Its exit code is 0 if the server answers /ping with status 200, and 1 otherwise."""

import sys
import urllib.request

from container.access.api_keys import read_keys
from container.settings import Settings

TIMEOUT_SECONDS = 2  # SageMaker waits this long for an answer to /ping.


def main() -> int:
    """Send one request to /ping and return the exit code."""
    settings = Settings.from_env()
    request = urllib.request.Request(f"http://127.0.0.1:{settings.port}/ping")
    if settings.api_key_file and not settings.ping_without_key:
        request.add_header("Authorization", f"Bearer {read_keys(settings)[0].decode()}")
    try:
        # Without a proxy: the environment may name one, which must not get the key.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS):
            return 0
    except OSError:  # No server listens on the port, or the status is not 200.
        return 1


if __name__ == "__main__":
    sys.exit(main())
