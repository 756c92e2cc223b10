"""The command line of `python -m serve`."""

import argparse
import re
import sys
from pathlib import Path
from typing import NoReturn

from container import contract

DESCRIPTION = """Answer questions about texts over HTTP, on CPU.

Without arguments, the server starts. Environment variables are its settings: MODEL_DIR names the artifact and PORT
the port; docs/settings.md has all of them. --plan starts nothing: it shows what the server would do with so many
cores and so much memory, and what a container should request."""
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
QUANTITY = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(m|[kMGT]|[KMGT]i)?")
FACTORS = {"": 1.0, "m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    f"{letter}i": 2.0 ** (10 * power) for power, letter in enumerate("KMGT", 1)
}
MAX_CORES = 4096


class _Parser(argparse.ArgumentParser):
    """Ends with the exit code that docs/settings.md has for an unknown command."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(contract.EXIT_USAGE, f"{self.prog}: {message}\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the arguments: plan, cores, memory_mb and model_dir. An error ends the process."""
    parser = _Parser(
        prog="serve",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--plan", action="store_true", help="print lanes, memory and settings, and start nothing")
    parser.add_argument("--cores", type=_cores, metavar="N", help="plan for this many cores (default: this machine's)")
    parser.add_argument(
        "--memory", type=_memory_mb, metavar="SIZE", help="plan for this memory, such as 8Gi (default: this machine's)"
    )
    parser.add_argument("--model-dir", type=Path, metavar="DIR", help="plan for this artifact (default: MODEL_DIR)")
    parsed = parser.parse_args(arguments)
    if not parsed.plan and (parsed.cores or parsed.memory or parsed.model_dir):
        parser.error("--cores, --memory and --model-dir belong to --plan; environment variables set up the server")
    return parsed


def _cores(text: str) -> float:
    found = _quantity(text, f"a number of cores such as 4, and at most {MAX_CORES}")
    if found > MAX_CORES:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {MAX_CORES} cores")
    return found


def _memory_mb(text: str) -> float:
    """Return megabytes of 1,000,000 bytes."""
    megabytes = _quantity(text, "an amount of memory such as 8Gi or 8192Mi") / 1e6
    if megabytes < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is less than a megabyte; write the unit too, such as 8Gi")
    return megabytes


def _quantity(text: str, expected: str) -> float:
    match = QUANTITY.fullmatch(text)
    value = float(match[1]) * FACTORS[match[2] or ""] if match else 0.0
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return value
