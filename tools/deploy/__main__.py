"""Deploy an artifact to a SageMaker endpoint, and remove it again.

python -m tools.deploy example > deploy.toml       # a configuration file with all values explained
python -m tools.deploy doctor --config deploy.toml # says what would fail; changes nothing
python -m tools.deploy plan --config deploy.toml   # shows what up would change, and the price; changes nothing
python -m tools.deploy up --config deploy.toml     # creates or updates the endpoint; after a failure, run it again
python -m tools.deploy rollback                    # returns to the configuration before the present one
python -m tools.deploy remove-model                # removes an artifact from a multi-model endpoint
python -m tools.deploy status                      # lists what exists, and all batch jobs
python -m tools.deploy down                        # lists what up created, asks, and removes it
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from tools.deploy import commands
from tools.deploy.config import TABLES, DeploymentConfig, example_config, read_config
from tools.deploy.deployment import Deployment
from tools.deploy.doctor.checks import run_checks
from tools.deploy.hourly_cost import describe_cost
from tools.deploy.output import CONSOLE, print_table, question_command
from tools.deploy.steps.serving.first_question import FirstQuestionStep
from tools.deploy.tags import OWNER_TAG
from tools.deploy.values.tables import misspelt_settings
from tools.errors import ToolError, run
from tools.remote.aws import Aws


def main() -> None:
    """Run the command that the arguments name."""
    arguments = _parse_arguments()
    if arguments.command == "example":
        print(example_config(), end="")
        return
    is_partial = arguments.command not in ("doctor", "plan", "up")
    config = read_config(arguments.config, _flags(arguments), is_partial=is_partial)
    aws = Aws(config.region or None, config.overrides)
    config = config.model_copy(update={"region": aws.region})
    deployment = Deployment(aws, config, CONSOLE.print)
    match arguments.command:
        case "down":
            down(deployment, is_confirmed=arguments.yes)
        case "remove-model":
            remove_model(deployment, arguments.target_model)
        case command:
            _COMMANDS[command](deployment)


def doctor(deployment: Deployment) -> None:
    """Print what each check has found.

    Raises: ToolError if `up` would fail.
    """
    findings = run_checks(deployment)
    rows = [(finding.check, finding.result, finding.text) for finding in findings]
    print_table(f"{deployment.config.name} in {deployment.config.region}", ("check", "result", "finding"), rows)
    if failed := [finding.check for finding in findings if finding.result == "fails"]:
        raise ToolError(f"`up` would fail: {', '.join(failed)}")
    unknown = sum(finding.result == "unknown" for finding in findings)
    CONSOLE.print(f"No check failed{f', and {unknown} could not be made' if unknown else ''}.")


def plan(deployment: Deployment) -> None:
    """Print what `up` would change, and the price of an hour."""
    config = deployment.config
    changes = commands.planned_changes(deployment)
    title = f"{config.name} in {config.region}, account {deployment.account}"
    print_table(title, ("step", "change"), [(step, change or "none") for step, change in changes])
    _warn(config)
    CONSOLE.print(f"Cost: {describe_cost(config, deployment.aws)}")
    if not any(change for step, change in changes if step != FirstQuestionStep.title):
        only = "; `up` would only ask the first question" if config.has_endpoint else ", and no job would start"
        CONSOLE.print(f"Nothing would change{only}.")


def up(deployment: Deployment) -> None:
    """Create or update the deployment, and print the price of an hour, how to ask a question, and how to remove it."""
    config = deployment.config
    _warn(config)
    commands.up(deployment)
    if config.has_endpoint:
        CONSOLE.print(f"{config.name} is up. Cost: {describe_cost(config, deployment.aws)}")
        CONSOLE.print(f"Ask a question: {question_command(deployment)}")
    if config.mode == "multi-model":
        CONSOLE.print("`up` with another --model-dir adds an artifact.")
    CONSOLE.print(f"Remove everything: {deployment.down_command}")


def remove_model(deployment: Deployment, name: str) -> None:
    """Remove an artifact from a multi-model endpoint, and say so."""
    commands.remove_model(deployment, name)
    CONSOLE.print(f"{name} is removed from S3. Instances that have loaded it may answer for some time.")


def rollback(deployment: Deployment) -> None:
    """Return to the configuration before the present one, and say what the next `up` would do."""
    previous = commands.rollback(deployment)
    CONSOLE.print(
        f"{deployment.config.name} runs {previous} again. Scaling and alarms are not part of a configuration and stay "
        "as they are: `up` with your earlier file sets them. `up` with the present file moves the endpoint on again."
    )


def status(deployment: Deployment) -> None:
    """Print what exists, and the state of the endpoint or of the batch jobs."""
    resources = commands.existing_resources(deployment)
    commands.add_notes(deployment, resources)
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
    groups = commands.log_groups(deployment, resources)
    kept = commands.down(deployment, resources)
    CONSOLE.print(f"Removed, except: {'; '.join(kept)}." if kept else "All resources are removed.")
    if groups:
        CONSOLE.print(f"The logs stay in CloudWatch, in {' and '.join(groups)}.")


def _warn(config: DeploymentConfig) -> None:
    for warning in misspelt_settings(config.environment):
        CONSOLE.print(f"Warning: [environment] {warning}.")


def _owner_tag(deployment: Deployment) -> str:
    return f"the tag {OWNER_TAG}={deployment.config.name} in {deployment.config.region}"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.deploy", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=("example", *_COMMANDS, "remove-model", "down"))
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration in TOML; `example` prints one")
    parser.add_argument(
        "--target-model", default="", metavar="X", help="artifact for remove-model, as `status` lists it"
    )
    parser.add_argument("--yes", action="store_true", help="down removes without a question")
    for name, field in DeploymentConfig.model_fields.items():
        if name in TABLES:
            continue
        flag = f"--{name.replace('_', '-')}"
        default = "" if field.default in ("", None) else f" (default: {field.default})"
        text = f"{field.description}{default}".replace("%", "%%")
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        elif get_origin(field.annotation) is Literal:
            parser.add_argument(flag, choices=get_args(field.annotation), help=text)
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
