"""Steps that use what was made: a first question to the endpoint, a batch transform job."""

import json
import time
from typing import Any
from urllib.parse import urlencode

from tools.deploy.models import Models
from tools.deploy.site import GONE, Resource, Site
from tools.deploy.storage import Artifact
from tools.errors import ToolError
from tools.object_store import split

ANSWER_SECONDS = 120
POLL_SECONDS = 1

QUESTION = {"question": "Who built the lighthouse?", "context": "The lighthouse was built by Zoë Müller in 1871."}
BODY = json.dumps(QUESTION).encode()


class Smoke:
    """One question to the endpoint."""

    title = "first question"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """Asked every time: it costs next to nothing, and shows that the endpoint answers."""
        return "ask the endpoint one question"

    def apply(self) -> None:
        """Ask each variant."""
        if self._site.config.mode == "async":
            self._show(self._ask_later())
            return
        variants = self._site.config.variants
        for variant in variants:
            target = {"TargetVariant": variant.name} if len(variants) > 1 else {}
            response = self._site.aws.call(
                "sagemaker-runtime",
                "InvokeEndpoint",
                EndpointName=self._site.config.name,
                ContentType="application/json",
                Body=BODY,
                **target,
            )
            self._show(response["Body"].read())

    def _ask_later(self) -> bytes:
        """Through objects in S3, which go again.

        Raises: ToolError, also where no answer comes.
        """
        site, artifact = self._site, Artifact(self._site)
        key = f"{site.prefix}async/question.json"
        site.aws.call("s3", "PutObject", Bucket=site.bucket, Key=key, Body=BODY, Tagging=urlencode(site.tags))
        response = site.aws.call(
            "sagemaker-runtime",
            "InvokeEndpointAsync",
            EndpointName=site.config.name,
            ContentType="application/json",
            InputLocation=f"s3://{site.bucket}/{key}",
        )
        try:
            return self._wait(response["OutputLocation"], response.get("FailureLocation"))
        finally:
            artifact.remove([key])

    def _wait(self, done: str, failed: str | None) -> bytes:
        aws, begin = self._site.aws, time.monotonic()
        while time.monotonic() - begin < ANSWER_SECONDS:
            for uri in filter(None, (done, failed)):
                bucket, key = split(uri)
                found = aws.found("s3", "GetObject", ("NoSuchKey", "AccessDenied"), Bucket=bucket, Key=key)
                if found is None:
                    continue
                content: bytes = found["Body"].read()
                aws.call("s3", "DeleteObject", Bucket=bucket, Key=key)
                if uri == done:
                    return content
                raise ToolError(f"the endpoint answers with an error: {content[:1000].decode(errors='replace')}")
            time.sleep(POLL_SECONDS)
        raise ToolError(f"no answer at {done} within {ANSWER_SECONDS} s; the same `up` asks again")

    def _show(self, answer: bytes) -> None:
        found = json.loads(answer)
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
