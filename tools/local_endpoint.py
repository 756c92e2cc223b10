"""Entry point of `python -m tools.local_endpoint`. The program is in tools/remote/local_endpoint.py."""

from tools.errors import run
from tools.remote.local_endpoint import main

if __name__ == "__main__":
    run(main)
