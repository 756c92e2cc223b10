"""Steps that use what was made: a first question to the endpoint, a batch transform job."""

import json
import time
from typing import Any
from urllib.parse import urlencode

from tools.deploy.models import Models
from tools.deploy.site import Resource, Site
from tools.deploy.storage import Artifact
from tools.errors import ToolError
from tools.remote.client import Endpoint
from tools.remote.object_store import split

ANSWER_SECONDS = 120
STOP_SECONDS = 600
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
        endpoint = Endpoint(self._site.config.name, aws=self._site.aws)  # which asks again where all is busy
        for variant in variants:
            self._show((endpoint.only(variant.name) if len(variants) > 1 else endpoint)(BODY))

    def _ask_later(self) -> bytes:
        """Through objects in S3, which go again.

        Raises: ToolError, also where no answer comes.
        """
        site, artifact = self._site, Artifact(self._site)
        key = site.async_question_key
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
        """Where it has not been started, or has come to nothing."""
        return None if self._is_done() else f"start the job {self._next_name()} on {self._site.config.batch_input}"

    def apply(self) -> None:
        """Start it."""
        if not self._is_done():
            self._site.patiently(
                "CreateTransformJob",
                TransformJobName=self._next_name(),
                **self._request(),
                Tags=self._site.tag_list,
            )
        self._site.say("the job runs on its own; `status` tells how far it is. `down` stops it")

    def resources(self) -> list[Resource]:
        """Jobs of ours under way. AWS keeps finished ones in its records, and charges nothing for them."""
        return [
            Resource("batch transform", job["TransformJobName"], lambda job=job: self._stop(job), "InProgress")  # type: ignore[misc]
            for job in self._jobs(self._site.config.name)
            if job["TransformJobStatus"] == "InProgress"
            and self._site.is_ours(self._site.sagemaker_tags(job["TransformJobArn"]))
        ]

    def told(self) -> list[str]:
        """How far the configured job is, and how earlier tries of it ended."""
        return [
            f"batch transform {job['TransformJobName']}: "
            f"{', '.join(filter(None, (job['TransformJobStatus'], job.get('FailureReason'))))}"
            for job in self._jobs(self._name())
        ]

    def _jobs(self, beginning: str) -> list[dict[str, Any]]:
        pages = self._site.aws.pages("sagemaker", "ListTransformJobs", "TransformJobSummaries", NameContains=beginning)
        return [job for job in pages if job["TransformJobName"].startswith(beginning)]

    def _is_done(self) -> bool:
        """Also while it is under way. One that failed or was stopped counts for nothing."""
        jobs = self._jobs(self._name())
        return any(job["TransformJobStatus"] in ("Completed", "InProgress") for job in jobs)

    def _stop(self, job: dict[str, Any]) -> None:
        name = job["TransformJobName"]
        self._site.aws.call("sagemaker", "StopTransformJob", TransformJobName=name)
        begin = time.monotonic()
        while time.monotonic() - begin < STOP_SECONDS:
            found = self._site.aws.call("sagemaker", "DescribeTransformJob", TransformJobName=name)
            if found["TransformJobStatus"] not in ("InProgress", "Stopping"):
                return
            time.sleep(POLL_SECONDS)
        raise ToolError(f"{name} has not stopped after {STOP_SECONDS} s; the same `down` waits again")

    def _name(self) -> str:
        return self._site.named(self._request(), "CreateTransformJob")

    def _next_name(self) -> str:
        """A job's name is taken for ever."""
        tries = len(self._jobs(self._name()))
        return f"{self._name()}-{tries + 1}" if tries else self._name()

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
