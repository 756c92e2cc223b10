"""Steps for SageMaker: models, the endpoint's configuration, the endpoint, a first question, a batch transform job."""

import json
import time
from typing import Any

from tools.aws import AwsError
from tools.deploy.config import Variant
from tools.deploy.scaling import Scaling
from tools.deploy.site import Resource, Site
from tools.errors import ToolError

POLL_SECONDS = 10
WAIT_SECONDS = 45 * 60  # provisioning, and a container that takes its hour's share to start; AWS gives up before
ROLE_WAIT_SECONDS = 60  # a new role is not seen everywhere at once
GONE = ("Could not find", "does not exist", "not found")  # SageMaker has no code for it: ValidationException
QUESTION = {"question": "Who built the lighthouse?", "context": "The lighthouse was built by Zoë Müller in 1871."}


class Immutable:
    """Models and endpoint configurations: a new request is a new name; old ones go when nothing uses them."""

    title: str
    kind: str  # Model, EndpointConfig

    def __init__(self, site: Site) -> None:
        self._site = site

    def requests(self) -> dict[str, dict[str, Any]]:
        """Name to request."""
        raise NotImplementedError

    def change(self) -> str | None:
        """What is missing."""
        missing = [name for name in self.requests() if not self._exists(name)]
        return f"create {', '.join(missing)}" if missing else None

    def apply(self) -> None:
        """Create what is missing."""
        for name, request in self.requests().items():
            if not self._exists(name):
                self._create({f"{self.kind}Name": name, **request, "Tags": self._site.tag_list})

    def resources(self) -> list[Resource]:
        """All of ours, of earlier artifacts too."""
        aws, key = self._site.aws, f"{self.kind}Name"
        listed = aws.pages("sagemaker", f"List{self.kind}s", f"{self.kind}s", NameContains=self._site.config.name)
        return [
            Resource(self.title, one[key], lambda name=one[key]: self._delete(name))  # type: ignore[misc]
            for one in listed
            if self._site.is_ours(tags_of(self._site, one[f"{self.kind}Arn"]))
        ]

    def retire(self) -> list[Resource]:
        """Those of ours that the configuration no longer names."""
        wanted = self.requests()
        return [one for one in self.resources() if one.name not in wanted]

    def _exists(self, name: str) -> bool:
        return self._site.aws.found("sagemaker", f"Describe{self.kind}", GONE, **{f"{self.kind}Name": name}) is not None

    def _delete(self, name: str) -> None:
        self._site.aws.call("sagemaker", f"Delete{self.kind}", **{f"{self.kind}Name": name})

    def _create(self, request: dict[str, Any]) -> None:
        deadline = time.monotonic() + ROLE_WAIT_SECONDS
        while True:
            try:
                self._site.aws.call("sagemaker", f"Create{self.kind}", **request)
                return
            except AwsError as error:
                if "assume" not in error.message or time.monotonic() > deadline:
                    raise
                self._site.say("SageMaker does not see the new role yet; again in a moment")
                time.sleep(POLL_SECONDS)


class Models(Immutable):
    """One for each variant."""

    title, kind = "model", "Model"

    def requests(self) -> dict[str, dict[str, Any]]:
        """Name to CreateModel."""
        return {self.name(variant): self._request(variant) for variant in self._site.config.variants}

    def name(self, variant: Variant) -> str:
        """Of a variant's model."""
        return self._site.named(self._request(variant), "CreateModel", variant.precision or "")

    def _request(self, variant: Variant) -> dict[str, Any]:
        site = self._site
        environment = dict(site.config.environment)
        if variant.precision:
            environment["PRECISIONS"] = variant.precision
        prefix = f"s3://{site.bucket}/{site.artifact_prefix}"
        source = {"S3Uri": f"{prefix}model/", "S3DataType": "S3Prefix", "CompressionType": "None"}
        data: dict[str, Any] = {"ModelDataUrl": f"{prefix}model.tar.gz"}
        if site.config.uncompressed:
            data = {"ModelDataSource": {"S3DataSource": source}}
        return {
            "ExecutionRoleArn": site.role_arn,
            "PrimaryContainer": {"Image": site.image_uri, "Environment": environment, **data},
            "EnableNetworkIsolation": site.isolated,
        }


class EndpointConfig(Immutable):
    """The variants, and what they run on."""

    title, kind = "endpoint configuration", "EndpointConfig"

    def requests(self) -> dict[str, dict[str, Any]]:
        """Name to CreateEndpointConfig."""
        site, models = self._site, Models(self._site)
        request: dict[str, Any] = {
            "ProductionVariants": [
                {
                    "VariantName": variant.name,
                    "ModelName": models.name(variant),
                    "InitialVariantWeight": variant.weight,
                    **self._hardware(),
                }
                for variant in site.config.variants
            ]
        }
        if site.config.mode == "async":
            output = {"S3OutputPath": f"s3://{site.bucket}/{site.prefix}async/"}
            request["AsyncInferenceConfig"] = {"OutputConfig": output}
        return {site.named(request, "CreateEndpointConfig"): request}

    def _hardware(self) -> dict[str, Any]:
        config = self._site.config
        if config.mode == "serverless":
            limits = {"MemorySizeInMB": config.memory_mb, "MaxConcurrency": config.max_concurrency}
            return {"ServerlessConfig": limits}
        return {
            "InstanceType": config.instance,
            "InitialInstanceCount": config.instances,
            "ContainerStartupHealthCheckTimeoutInSeconds": config.startup_seconds,
        }


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
            site.aws.call(
                "sagemaker",
                "CreateEndpoint",
                EndpointName=self._name,
                EndpointConfigName=self._wanted(),
                Tags=site.tag_list,
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
        found: dict[str, Any] | None = self._site.aws.found(
            "sagemaker", "DescribeEndpoint", GONE, EndpointName=self._name
        )
        return found

    def resources(self) -> list[Resource]:
        """The endpoint."""
        found = self.describe()
        if found is None or not self._site.is_ours(tags_of(self._site, found["EndpointArn"])):
            return []
        return [Resource("endpoint", self._name, self._delete, found["EndpointStatus"])]

    def _wanted(self) -> str:
        return next(iter(EndpointConfig(self._site).requests()))

    def _update(self, found: dict[str, Any]) -> None:
        config = self._site.config
        names = {variant.name for variant in config.variants}
        gone = [v["VariantName"] for v in found.get("ProductionVariants", []) if v["VariantName"] not in names]
        scaled = {one.name for one in Scaling(self._site).resources()}
        stale = {f"endpoint/{self._name}/variant/{name}" for name in gone} & scaled
        Scaling(self._site).forget(sorted(stale))  # AWS refuses to remove a variant that scales
        request: dict[str, Any] = {"RetainAllVariantProperties": config.scales and not gone}
        if config.rollback_alarm and config.mode != "serverless":
            request["DeploymentConfig"] = self._careful()
        self._site.aws.call(
            "sagemaker", "UpdateEndpoint", EndpointName=self._name, EndpointConfigName=self._wanted(), **request
        )

    def _careful(self) -> dict[str, Any]:
        size = {"Type": "CAPACITY_PERCENT", "Value": 10}
        routing = {"Type": "CANARY", "WaitIntervalInSeconds": 300, "CanarySize": size}
        return {
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 60},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": self._site.alarm_name}]},
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


class Smoke:
    """One question to the endpoint."""

    title = "first question"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """Asked every time: it costs nothing and shows that the endpoint answers. Async would need an object in S3."""
        return None if self._site.config.mode == "async" else "ask the endpoint one question"

    def apply(self) -> None:
        """Ask each variant."""
        if self.change() is None:
            return
        variants = self._site.config.variants
        for variant in variants:
            target = {"TargetVariant": variant.name} if len(variants) > 1 else {}
            response = self._site.aws.call(
                "sagemaker-runtime",
                "InvokeEndpoint",
                EndpointName=self._site.config.name,
                ContentType="application/json",
                Body=json.dumps(QUESTION).encode(),
                **target,
            )
            found = json.loads(response["Body"].read())
            self._site.say(f"{QUESTION['question']} {found['answer']} ({found['version']}, score {found['score']:.2f})")

    def resources(self) -> list[Resource]:
        """None."""
        return []


class Transform:
    """A batch transform job over JSON Lines in S3; the same job runs once."""

    title = "batch transform"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """Where it has not been started."""
        return None if self._find() else f"start the job {self._name()} on {self._site.config.batch_input}"

    def apply(self) -> None:
        """Start it."""
        if self.change():
            self._site.aws.call(
                "sagemaker",
                "CreateTransformJob",
                TransformJobName=self._name(),
                **self._request(),
                Tags=self._site.tag_list,
            )
        self._site.say(f"the job runs on its own; `status` tells how far it is: {self._name()}")

    def resources(self) -> list[Resource]:
        """None: AWS keeps finished jobs in its records, and charges nothing for them."""
        return []

    def _find(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._site.aws.found(
            "sagemaker", "DescribeTransformJob", (*GONE, "ResourceNotFound"), TransformJobName=self._name()
        )
        return found

    def _name(self) -> str:
        return self._site.named(self._request(), "CreateTransformJob")

    def _request(self) -> dict[str, Any]:
        config = self._site.config
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": config.batch_input}}
        lines = "application/jsonlines"
        return {
            "ModelName": next(iter(Models(self._site).requests())),
            "BatchStrategy": "MultiRecord",
            "TransformInput": {"DataSource": source, "ContentType": lines, "SplitType": "Line"},
            "TransformOutput": {"S3OutputPath": config.batch_output, "Accept": lines, "AssembleWith": "Line"},
            "TransformResources": {"InstanceType": config.instance, "InstanceCount": config.instances},
        }


def tags_of(site: Site, arn: str) -> list[dict[str, str]]:
    """Tags of something of SageMaker's; none once it is gone."""
    found = site.aws.found("sagemaker", "ListTags", GONE, ResourceArn=arn)
    return list(found["Tags"]) if found else []
