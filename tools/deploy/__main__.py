"""From an artifact to a SageMaker endpoint and back.

python -m tools.deploy example > deploy.toml       # every choice, explained
python -m tools.deploy plan --config deploy.toml   # what up would do and cost; changes nothing
python -m tools.deploy up --config deploy.toml     # again after a failure: it goes on
python -m tools.deploy status
python -m tools.deploy down                        # lists what up made, asks, removes that and nothing else
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.deploy import lifecycle
from tools.deploy.config import OWNER_TAG, TABLES, Deployment, example, read
from tools.deploy.endpoint import Endpoint
from tools.deploy.site import Site
from tools.deploy.usage import Transform
from tools.errors import ToolError, run
from tools.remote.aws import Aws

CONSOLE = Console(highlight=False, soft_wrap=True, markup=False)


def main() -> None:
    """One verb."""
    given = _parse()
    if given.verb == "example":
        print(example(), end="")
        return
    config = read(given.config, _flags(given))
    aws = Aws(config.region or None, config.overrides)
    config = config.model_copy(update={"region": aws.region})
    site = Site(aws, config, CONSOLE.print)
    match given.verb:
        case "plan":
            plan(site)
        case "up":
            lifecycle.up(site)
            CONSOLE.print(f"{config.name} is up. Cost: {lifecycle.cost(site)}")
            if config.mode in ("realtime", "serverless"):
                CONSOLE.print(
                    f"Ask it: python -m tools.invoke --endpoint {config.name} --region {config.region} "
                    "--question ... --context ..."
                )
        case "status":
            status(site)
        case "down":
            down(site, given.yes)


def plan(site: Site) -> None:
    """Print what up would do."""
    table = Table("step", "change", title=f"{site.config.name} in {site.config.region}, account {site.account}")
    for title, change in lifecycle.changes(site):
        table.add_row(title, change or "none")
    CONSOLE.print(table)
    CONSOLE.print(f"Cost: {lifecycle.cost(site)}")


def status(site: Site) -> None:
    """Print what exists, and how the endpoint is."""
    found = lifecycle.existing(site)
    if not found:
        CONSOLE.print(f"nothing carries the tag {OWNER_TAG}={site.config.name} in {site.config.region}")
    for one in reversed(found):
        CONSOLE.print(str(one))
    if not site.config.has_endpoint:
        for line in Transform(site).told():
            CONSOLE.print(line)
    endpoint = Endpoint(site).describe()
    for variant in (endpoint or {}).get("ProductionVariants", []):
        count, weight = variant.get("CurrentInstanceCount", "-"), variant.get("CurrentWeight", "-")
        CONSOLE.print(f"variant {variant['VariantName']}: instances {count}, weight {weight}")


def down(site: Site, is_sure: bool) -> None:
    """List, ask, remove."""
    found = lifecycle.existing(site)
    if not found:
        CONSOLE.print(f"nothing to remove: no tag {OWNER_TAG}={site.config.name} in {site.config.region}")
        return
    CONSOLE.print("Will be removed:", *(f"  {one}" for one in found), sep="\n")
    if not is_sure:
        if not sys.stdin.isatty():
            raise ToolError("down asks before it removes: answer at a terminal, or give --yes")
        if CONSOLE.input("Remove them? [y/N] ").strip().lower() != "y":
            raise ToolError("nothing was removed")
    lifecycle.down(found, site)
    CONSOLE.print(f"removed. Logs stay in CloudWatch: /aws/sagemaker/Endpoints/{site.config.name}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.deploy", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("verb", choices=("example", "plan", "up", "status", "down"))
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML; see `example`")
    parser.add_argument("--yes", action="store_true", help="down: do not ask")
    for name, field in Deployment.model_fields.items():
        if name in TABLES:
            continue
        flag = f"--{name.replace('_', '-')}"
        default = "" if field.default in ("", None) else f" (default: {field.default})"
        text = f"{field.description}{default}".replace("%", "%%")
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        else:
            parser.add_argument(flag, metavar="X", help=text)
    return parser.parse_args()


def _flags(given: argparse.Namespace) -> dict[str, Any]:
    chosen = {name: getattr(given, name) for name in Deployment.model_fields if name not in TABLES}
    return {name: value for name, value in chosen.items() if value is not None}


if __name__ == "__main__":
    run(main)
