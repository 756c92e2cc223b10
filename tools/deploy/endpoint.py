"""The step for the endpoint itself: created, or moved to another configuration."""

import time
from typing import Any

from tools.deploy.models import EndpointConfig
from tools.deploy.scaling import Scaling
from tools.deploy.site import GONE, Resource, Site
from tools.errors import ToolError

POLL_SECONDS = 10
WATCH_SECONDS = 300  # how long an update can be rolled back
WAIT_SECONDS = 45 * 60  # provisioning, and a container that takes its hour's share to start; AWS gives up before


class Mode:
    """Refuses what AWS cannot do before anything is changed: an asynchronous endpoint of a real-time one, and so on."""

    title = "mode"

    def __init__(self, site: Site) -> None:
        self._site = site
        self._endpoint = Endpoint(site)

    def change(self) -> str | None:
        """Raises: ToolError where our endpoint is of another mode than the configuration."""
        name, is_mode, wanted = self._site.config.name, self._mode(), self._site.config.mode
        if is_mode not in (None, wanted) and self._endpoint.resources():
            raise ToolError(
                f"{name} is {is_mode}, and AWS cannot change that to {wanted}: choose another --name, or `down` first"
            )
        return None

    def apply(self) -> None:
        """Nothing is to be made."""

    def resources(self) -> list[Resource]:
        """None."""
        return []

    def _mode(self) -> str | None:
        found = self._endpoint.configuration()
        if found.get("AsyncInferenceConfig"):
            return "async"
        variants = found.get("ProductionVariants", [])
        if any(variant.get("ServerlessConfig") for variant in variants):
            return "serverless"
        return "realtime" if variants else None


class Endpoint:
    """Created, or moved to another configuration; waits until it serves."""

    title = "endpoint"

    def __init__(self, site: Site) -> None:
        self._site = site
        self._name = site.config.name

    def change(self) -> str | None:
        """Where it is missing, failed, or on another configuration."""
        found = self.describe()
        if found is None:
            return f"create {self._name}, {self._site.config.mode}"
        if found["EndpointStatus"] == "Failed":
            return f"replace {self._name}, which has failed: {found.get('FailureReason', 'no reason given')}"
        if found["EndpointConfigName"] != self._wanted():
            return f"update {self._name} from {found['EndpointConfigName']} to {self._wanted()}"
        return None if found["EndpointStatus"] == "InService" else f"wait for {self._name}, {found['EndpointStatus']}"

    def apply(self) -> None:
        """Go on from whatever state it is in."""
        site, found = self._site, self.describe()
        if found and not self.resources():
            raise site.refuse(f"the endpoint {self._name}")
        found = self._wait() if found else None
        if found and found["EndpointStatus"] == "Failed":
            self._delete()
            found = None
        if found is None:
            site.patiently(
                "CreateEndpoint", EndpointName=self._name, EndpointConfigName=self._wanted(), Tags=site.tag_list
            )
        elif found["EndpointConfigName"] != self._wanted():
            self._update(found)
        found = self._wait()
        if found is None or found["EndpointStatus"] != "InService" or found["EndpointConfigName"] != self._wanted():
            reason = (found or {}).get("FailureReason", "AWS gave no reason; an alarm may have rolled it back")
            raise ToolError(
                f"the endpoint is not what was asked for: {reason}. "
                f"The container's log: CloudWatch, group /aws/sagemaker/Endpoints/{self._name}"
            )

    def describe(self) -> dict[str, Any] | None:
        """DescribeEndpoint's answer."""
        return self._site.endpoint()

    def resources(self) -> list[Resource]:
        """The endpoint."""
        found = self.describe()
        if found is None or not self._site.is_ours(self._site.sagemaker_tags(found["EndpointArn"])):
            return []
        return [Resource("endpoint", self._name, self._delete, found["EndpointStatus"])]

    def configuration(self) -> dict[str, Any]:
        """DescribeEndpointConfig's answer on what the endpoint is on now; empty where there is none."""
        name = (self.describe() or {}).get("EndpointConfigName")
        found = name and self._site.aws.found("sagemaker", "DescribeEndpointConfig", GONE, EndpointConfigName=name)
        return dict(found or {})

    def _wanted(self) -> str:
        return next(iter(EndpointConfig(self._site).requests()))

    def _update(self, found: dict[str, Any]) -> None:
        config = self._site.config
        names = {variant.name for variant in config.variants}
        gone = {v["VariantName"] for v in found.get("ProductionVariants", [])} - names
        other = {
            variant["VariantName"]
            for variant in self.configuration().get("ProductionVariants", [])
            if variant.get("InstanceType") != config.instance
        }
        scaled = {one.name for one in Scaling(self._site).resources()}
        stale = {f"endpoint/{self._name}/variant/{name}" for name in gone | other} & scaled
        Scaling(self._site).forget(sorted(stale))  # AWS refuses to remove or change a variant that scales
        request: dict[str, Any] = {"RetainAllVariantProperties": False}
        if config.scales and not gone:  # as many instances as there are, but the weights of the configuration
            weights = [{"VariantPropertyType": "DesiredWeight"}]
            request = {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": weights}
        if config.rollback_alarm and config.mode != "serverless":
            request["DeploymentConfig"] = self._careful()
        self._site.patiently("UpdateEndpoint", EndpointName=self._name, EndpointConfigName=self._wanted(), **request)

    def _careful(self) -> dict[str, Any]:
        size = {"Type": "CAPACITY_PERCENT", "Value": 10}
        alarms = [{"AlarmName": self._site.alarm_name(variant)} for variant in self._site.config.variants]
        routing = {"Type": "CANARY", "WaitIntervalInSeconds": WATCH_SECONDS, "CanarySize": size}
        if self._site.config.instances == 1:  # which has no tenth; the old one stays as long to go back to
            routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        return {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": routing,
                "TerminationWaitInSeconds": WATCH_SECONDS,
            },
            "AutoRollbackConfiguration": {"Alarms": alarms},
        }

    def _wait(self) -> dict[str, Any] | None:
        """Until it neither comes, changes nor goes; None once it is gone.

        Raises: ToolError after WAIT_SECONDS.
        """
        begin = time.monotonic()
        while time.monotonic() - begin < WAIT_SECONDS:
            found = self.describe()
            if found is None or found["EndpointStatus"] in (
                "InService",
                "Failed",
                "OutOfService",
                "UpdateRollbackFailed",
            ):
                return found
            self._site.say(f"endpoint {self._name}: {found['EndpointStatus']}, {time.monotonic() - begin:.0f} s")
            time.sleep(POLL_SECONDS)
        raise ToolError(
            f"{self._name} is not through after {WAIT_SECONDS / 60:g} minutes; the same command waits again"
        )

    def _delete(self) -> None:
        self._wait()  # one that is being made cannot be deleted
        self._site.aws.call("sagemaker", "DeleteEndpoint", EndpointName=self._name)
        self._wait()
