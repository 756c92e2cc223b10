"""Deploy an artifact to a SageMaker endpoint, and remove it again.

python -m tools.deploy example > deploy.toml       # a configuration file with all values explained
python -m tools.deploy doctor --config deploy.toml # says what would fail; changes nothing
python -m tools.deploy plan --config deploy.toml   # shows what up would change, and the price; changes nothing
python -m tools.deploy up --config deploy.toml     # creates or updates the endpoint; after a failure, run it again
python -m tools.deploy rollback                    # returns to the configuration before the present one
python -m tools.deploy remove-model                # removes a model from a multi-model endpoint
python -m tools.deploy status                      # lists what exists
python -m tools.deploy down                        # lists what up created, asks, and removes it
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.deploy import commands
from tools.deploy.config import TABLES, DeploymentConfig, example_config, read_config
from tools.deploy.deployment import Deployment
from tools.deploy.doctor.checks import run_checks
from tools.deploy.hourly_cost import describe_cost
from tools.deploy.tags import OWNER_TAG
from tools.errors import ToolError, run
from tools.remote.aws import Aws

CONSOLE = Console(highlight=False, soft_wrap=True, markup=False)


def main() -> None:
    """Run the command that the arguments name."""
    arguments = _parse_arguments()
    if arguments.command == "example":
        print(example_config(), end="")
        return
    config = read_config(arguments.config, _flags(arguments))
    aws = Aws(config.region or None, config.overrides)
    config = config.model_copy(update={"region": aws.region})
    deployment = Deployment(aws, config, CONSOLE.print)
    match arguments.command:
        case "down":
            down(deployment, is_confirmed=arguments.yes)
        case "remove-model":
            commands.remove_model(deployment, arguments.target_model)
        case command:
            _COMMANDS[command](deployment)


def doctor(deployment: Deployment) -> None:
    """Print what each check has found.

    Raises: ToolError if `up` would fail.
    """
    table = Table("check", "result", "finding", title=f"{deployment.config.name} in {deployment.config.region}")
    findings = run_checks(deployment)
    for finding in findings:
        table.add_row(finding.check, finding.result, finding.text)
    CONSOLE.print(table)
    if failed := [finding.check for finding in findings if finding.result == "fails"]:
        raise ToolError(f"`up` would fail: {', '.join(failed)}")
    CONSOLE.print("No check failed.")


def plan(deployment: Deployment) -> None:
    """Print what `up` would change, and the price of an hour."""
    config = deployment.config
    table = Table("step", "change", title=f"{config.name} in {config.region}, account {deployment.account}")
    for title, change in commands.planned_changes(deployment):
        table.add_row(title, change or "none")
    CONSOLE.print(table)
    CONSOLE.print(f"Cost: {describe_cost(config)}")


def up(deployment: Deployment) -> None:
    """Create or update the deployment, and print the price of an hour and how to ask a question."""
    config = deployment.config
    commands.up(deployment)
    CONSOLE.print(f"{config.name} is up. Cost: {describe_cost(config)}")
    if config.mode == "multi-model":
        CONSOLE.print(f"Ask it with TargetModel={deployment.target_model}. `up` with another --model-dir adds a model.")
    if config.mode in ("realtime", "serverless"):
        CONSOLE.print(
            f"Ask a question: python -m tools.invoke --endpoint {config.name} --region {config.region} "
            "--question ... --context ..."
        )


def rollback(deployment: Deployment) -> None:
    """Return to the configuration before the present one, and say what the next `up` would do."""
    previous = commands.rollback(deployment)
    CONSOLE.print(f"{deployment.config.name} runs {previous} again. The next `up` moves it to your configuration file.")


def status(deployment: Deployment) -> None:
    """Print what exists, and the state of the endpoint or of the batch jobs."""
    resources = commands.existing_resources(deployment)
    if not resources:
        CONSOLE.print(f"No resource has {_owner_tag(deployment)}.")
    for resource in reversed(resources):
        CONSOLE.print(str(resource))
    for line in commands.status_lines(deployment):
        CONSOLE.print(line)


def down(deployment: Deployment, *, is_confirmed: bool) -> None:
    """List what exists, ask for confirmation unless it is given, and remove everything on the list."""
    resources = commands.existing_resources(deployment)
    if not resources:
        CONSOLE.print(f"There is nothing to remove: no resource has {_owner_tag(deployment)}.")
        return
    CONSOLE.print("These resources will be removed:", *(f"  {resource}" for resource in resources), sep="\n")
    if not is_confirmed:
        if not sys.stdin.isatty():
            raise ToolError("down asks for confirmation: run it in a terminal, or give --yes")
        if CONSOLE.input("Remove them? [y/N] ").strip().lower() != "y":
            raise ToolError("nothing was removed")
    commands.down(deployment, resources)
    CONSOLE.print(
        "All resources are removed. "
        f"The logs stay in CloudWatch, in the group /aws/sagemaker/Endpoints/{deployment.config.name}."
    )


def _owner_tag(deployment: Deployment) -> str:
    return f"the tag {OWNER_TAG}={deployment.config.name} in {deployment.config.region}"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.deploy", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=("example", *_COMMANDS, "remove-model", "down"))
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration in TOML; `example` prints one")
    parser.add_argument("--target-model", default="", metavar="X", help="model for remove-model, as `status` lists it")
    parser.add_argument("--yes", action="store_true", help="down removes without a question")
    for name, field in DeploymentConfig.model_fields.items():
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


def _flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the flags that the user gave."""
    flags = {name: getattr(arguments, name) for name in DeploymentConfig.model_fields if name not in TABLES}
    return {name: value for name, value in flags.items() if value is not None}


_COMMANDS = {"doctor": doctor, "plan": plan, "up": up, "rollback": rollback, "status": status}


if __name__ == "__main__":
    run(main)
