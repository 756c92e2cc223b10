"""The list of steps, and what plan, up, status and down do with it."""

from tools.deploy.access import Image, Repository, Role
from tools.deploy.endpoint import Endpoint, Mode
from tools.deploy.models import EndpointConfig, Models
from tools.deploy.scaling import RollbackAlarm, Scaling
from tools.deploy.site import Resource, Site, Step
from tools.deploy.storage import Artifact, Bucket
from tools.deploy.usage import Smoke, Transform
from tools.errors import ToolError
from tools.remote.instance_prices import PRICES, Price


def steps(site: Site) -> list[Step]:
    """In the order of making; removal goes backwards."""
    before: list[Step] = [
        Mode(site), Bucket(site), Artifact(site), Repository(site), Image(site), Role(site), Models(site)
    ]  # fmt: skip
    if not site.config.has_endpoint:
        return [*before, Transform(site)]
    return [
        *before,
        EndpointConfig(site),
        RollbackAlarm(site),
        Endpoint(site),
        Scaling(site),
        Smoke(site),
        Retire(site),
    ]


class Retire:
    """What an update leaves behind: models, configurations and artifacts that the endpoint no longer uses."""

    title = "old parts"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """Where there are such. Before the first `up` there are none; before an update, those in use now."""
        old = self._old()
        return f"remove {', '.join(map(str, old))}" if old else None

    def apply(self) -> None:
        """Remove them."""
        for one in self._old():
            one.remove()

    def resources(self) -> list[Resource]:
        """Each belongs to its own step."""
        return []

    def _old(self) -> list[Resource]:
        artifact = Artifact(self._site)
        keys = [key for key in artifact.owned_keys() if key not in self._site.artifact_keys]
        objects = [Resource("S3 object", key, lambda key=key: artifact.remove([key])) for key in keys]  # type: ignore[misc]
        steps = (EndpointConfig, Models, RollbackAlarm, Role)
        return [*(one for step in steps for one in step(self._site).retire()), *objects]


def changes(site: Site) -> list[tuple[str, str | None]]:
    """Each step's title with what up would do.

    Raises: ToolError, also where it could not be done.
    """
    return [(step.title, step.change()) for step in steps(site)]


def up(site: Site) -> None:
    """Every step in order.

    Raises: ToolError that says which step, what AWS said, what exists, and how to go on or back.
    """
    for number, step in enumerate(all_steps := steps(site), 1):
        where = f"step {number} of {len(all_steps)}, {step.title}"
        try:
            change = step.change()
            site.say(f"{where}: {change or 'as it should be'}")
            step.apply()
        except ToolError as error:
            raise ToolError(
                f"{where}: {error}\n{_what_exists(site)}\n"
                f"On: mend the cause and run the same `up`; it goes on here. Back: `{_down(site)}` removes what exists."
            ) from None


def _down(site: Site) -> str:
    bucket = f" --bucket {site.bucket}" if site.config.bucket else ""
    return f"down --name {site.config.name} --region {site.config.region}{bucket}"


def _what_exists(site: Site) -> str:
    try:
        found = existing(site)
    except ToolError as error:
        return f"What exists could not be listed ({error}); `status` tries again."
    return "Exists now: " + (", ".join(map(str, found)) if found else "nothing") + "."


def existing(site: Site) -> list[Resource]:
    """All that is ours, in the order of removal: whatever the mode is, since it may have been another."""
    parts: list[Step] = [
        Bucket(site), Artifact(site), Repository(site), Role(site), Models(site), EndpointConfig(site),
        Endpoint(site), RollbackAlarm(site), Scaling(site), Transform(site),
    ]  # fmt: skip
    return [one for part in reversed(parts) for one in part.resources()]


def down(resources: list[Resource], site: Site) -> None:
    """Remove what was listed.

    Raises: ToolError that says what is left.
    """
    for number, one in enumerate(resources):
        site.say(f"removing {one}")
        try:
            one.remove()
        except ToolError as error:
            left = ", ".join(map(str, resources[number:]))
            raise ToolError(f"{one}: {error}\nLeft: {left}.\nMend the cause and run the same `down` again.") from None


def cost(site: Site) -> str:
    """What an hour costs, in words."""
    config = site.config
    if config.mode == "serverless":
        return "by use: each request's milliseconds and bytes (https://aws.amazon.com/sagemaker/pricing/)"
    known = PRICES.get(config.instance)
    price = Price(None, config.dollars_per_hour, "") if config.dollars_per_hour else known
    if price is None:
        return f"no price is known for {config.instance}: give --dollars-per-hour"
    number = config.instances * len(config.variants)
    text = f"${price.dollars_per_hour * number:.3f}"
    if config.scales:
        text += f" to ${price.dollars_per_hour * config.max_instances * len(config.variants):.3f}"
    return f"{text} an hour while it {'runs' if config.has_endpoint else 'works'}: {config.instance} at {price}"
