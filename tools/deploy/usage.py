"""Steps that use what was made: a first question to the endpoint, a batch transform job."""

import json
from typing import Any

from tools.deploy.models import Models
from tools.deploy.site import GONE, Resource, Site

QUESTION = {"question": "Who built the lighthouse?", "context": "The lighthouse was built by Zoë Müller in 1871."}


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
