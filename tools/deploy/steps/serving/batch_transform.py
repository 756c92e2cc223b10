"""The step for a batch transform job."""

import time
from collections.abc import Collection
from functools import partial
from typing import Any

from container.contract import BATCH_TIMEOUT_SECONDS
from tools.deploy.hourly_cost import describe_cost
from tools.deploy.ownership import OwnedResource
from tools.deploy.retry import call_with_retry
from tools.deploy.steps.serving.models import ModelsStep
from tools.deploy.steps.step import Step
from tools.errors import ToolError

STOP_SECONDS = 600
POLL_SECONDS = 1
_RUNNING = ("InProgress", "Stopping")
_NO_REPETITION = ("Completed", "InProgress")


class BatchTransformStep(Step):
    """Starts a job that answers JSON Lines in S3. `up` does not start a job again that runs or has completed."""

    title = "batch transform"

    def is_needed(self) -> bool:
        """Return whether the mode is batch."""
        return not self._config.has_endpoint

    def change(self) -> str | None:
        """Describe the change if no job for this request runs or has completed."""
        return None if self.find_job() else f"start the job {self._next_name()} on {self._config.batch_input}"

    def apply(self) -> None:
        """Start the job, unless one for the same request runs or has completed. Do not wait for it."""
        if job := self.find_job():
            self._deployment.report(_describe_found(job))
            return
        name = self._next_name()
        request = {"TransformJobName": name, **self._request(), "Tags": self._deployment.tag_list}
        call_with_retry(self._deployment, "sagemaker", "CreateTransformJob", request)
        cost = describe_cost(self._config, self._deployment.aws)
        self._deployment.report(
            f"The job {name} is started, and runs without this command. Cost: {cost}. "
            "`status` shows its progress, `down` stops it."
        )

    def resources(self) -> list[OwnedResource]:
        """List our jobs that run or stop. AWS keeps a free record of each finished job, which cannot be deleted."""
        return [
            OwnedResource(
                "batch transform", job["TransformJobName"], partial(self._stop, job), job["TransformJobStatus"]
            )
            for job in self.list_ours(_RUNNING)
        ]

    def status_lines(self) -> list[str]:
        """Return one line for each job of the deployment, whatever the configuration is now, the newest first."""
        jobs = sorted(self.list_ours(), key=lambda job: str(job["CreationTime"]), reverse=True)
        return [self._describe(job) for job in jobs]

    def list_ours(self, statuses: Collection[str] = ()) -> list[dict[str, Any]]:
        """Return AWS's summaries of our jobs, or of those with these statuses. AWS keeps them also after `down`."""
        return [
            job
            for job in self._list_jobs(self._config.name)
            if not statuses
            or job["TransformJobStatus"] in statuses
            and self._names.is_versioned(job["TransformJobName"])
            and self._ownership.is_our_sagemaker_resource(job["TransformJobArn"])
        ]

    def _describe(self, job: dict[str, Any]) -> str:
        name = job["TransformJobName"]
        described = self._aws.call("sagemaker", "DescribeTransformJob", TransformJobName=name)
        source = described["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        target = described["TransformOutput"]["S3OutputPath"]
        state = ", ".join(filter(None, (job["TransformJobStatus"], described.get("FailureReason"))))
        return f"batch transform {name}: {state}; from {source} to {target}"

    def _list_jobs(self, prefix: str) -> list[dict[str, Any]]:
        jobs = self._aws.list_all("sagemaker", "ListTransformJobs", "TransformJobSummaries", NameContains=prefix)
        return [job for job in jobs if job["TransformJobName"].startswith(prefix)]

    def find_job(self) -> dict[str, Any] | None:
        """Return a job for this request that runs or has completed. Failed and stopped jobs do not count."""
        jobs = [job for job in self._list_jobs(self._name()) if job["TransformJobStatus"] in _NO_REPETITION]
        return next(iter(jobs), None)

    def _stop(self, job: dict[str, Any]) -> None:
        name = job["TransformJobName"]
        if job["TransformJobStatus"] != "Stopping":
            self._aws.call("sagemaker", "StopTransformJob", TransformJobName=name)
        begin = time.monotonic()
        while time.monotonic() - begin < STOP_SECONDS:
            response = self._aws.call("sagemaker", "DescribeTransformJob", TransformJobName=name)
            if response["TransformJobStatus"] not in _RUNNING:
                return
            time.sleep(POLL_SECONDS)
        raise ToolError(f"{name} has not stopped after {STOP_SECONDS} s: run the same `down` to wait again")

    def _name(self) -> str:
        return self._names.versioned(self._request(), "CreateTransformJob")

    def _next_name(self) -> str:
        """Return a name for the next attempt. The name of a job can never be used again."""
        attempts = len(self._list_jobs(self._name()))
        return f"{self._name()}-{attempts + 1}" if attempts else self._name()

    def _request(self) -> dict[str, Any]:
        config = self._config
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": config.batch_input}}
        media_type = "application/jsonlines"
        assembly = {"AssembleWith": "Line", **({"KmsKeyId": config.kms_key} if config.kms_key else {})}
        return {
            "ModelName": next(iter(ModelsStep(self._deployment).requests())),
            "BatchStrategy": "MultiRecord",
            # AWS waits 600 s for an answer unless it is told otherwise. The server allows an hour in batch mode.
            "ModelClientConfig": {"InvocationsTimeoutInSeconds": BATCH_TIMEOUT_SECONDS, "InvocationsMaxRetries": 3},
            "TransformInput": {"DataSource": source, "ContentType": media_type, "SplitType": "Line"},
            "TransformOutput": {"S3OutputPath": config.batch_output, "Accept": media_type, **assembly},
            "TransformResources": {
                "InstanceType": config.instance,
                "InstanceCount": config.instances,
                **({"VolumeKmsKeyId": config.kms_key} if config.kms_key else {}),
            },
        }


def _describe_found(job: dict[str, Any]) -> str:
    name = job["TransformJobName"]
    if job["TransformJobStatus"] == "Completed":
        when = job.get("TransformEndTime") or job.get("LastModifiedTime") or job["CreationTime"]
        state = f"completed at {when:%Y-%m-%d %H:%M %Z}".rstrip()
    else:
        state = f"is there already, with the status {job['TransformJobStatus']}"
    return f"The job {name} {state}. Nothing was started. To run it again, change --batch-output."
