"""The step that asks the endpoint a first question."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tools.deploy.steps.preparation.artifact import delete_objects
from tools.deploy.steps.step import Step
from tools.deploy.tags import object_tags
from tools.errors import ToolError
from tools.remote.client import EndpointClient
from tools.remote.object_store import split_s3_uri

ANSWER_SECONDS = 120
WAKE_SECONDS = 20 * 60  # An endpoint without instances starts one: the alarm needs two minutes, the instance several.
POLL_SECONDS = 1
# S3 answers AccessDenied instead of NoSuchKey if the caller may not list the bucket.
_NO_OBJECT = ("NoSuchKey", "AccessDenied")

QUESTION = {"question": "Who built the lighthouse?", "context": "The lighthouse was built by Zoë Müller in 1871."}
BODY = json.dumps(QUESTION).encode()  # with the endpoint's own default task


class FirstQuestionStep(Step):
    """Asks each variant one question and shows the answer."""

    title = "first question"

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint."""
        return self._config.has_endpoint

    def change(self) -> str | None:
        """Return the same text always: every `up` asks the question, to prove quickly that everything works."""
        return "ask the endpoint one question"

    def apply(self) -> None:
        """Ask the question."""
        if self._config.mode == "async":
            self._show(self._ask_async())
            return
        if self._config.mode == "multi-model":
            self._show(EndpointClient(self._config.name, aws=self._aws).for_model(self._deployment.target_model)(BODY))
            return
        variants = self._config.variants
        client = EndpointClient(self._config.name, aws=self._aws)  # The client tries again while the endpoint is busy.
        for variant in variants:
            self._show((client.for_variant(variant.name) if len(variants) > 1 else client)(BODY))

    def _ask_async(self) -> bytes:
        """Ask an asynchronous endpoint, with objects in S3 that are deleted afterwards.

        Raises: ToolError if there is no answer, or if the answer is an error.
        """
        bucket, key = self._names.bucket, self._names.async_question_key
        tags = urlencode(object_tags(self._deployment.tags))
        self._aws.call("s3", "PutObject", Bucket=bucket, Key=key, Body=BODY, Tagging=tags)
        response = self._aws.call(
            "sagemaker-runtime",
            "InvokeEndpointAsync",
            EndpointName=self._config.name,
            ContentType="application/json",
            InputLocation=f"s3://{bucket}/{key}",
        )
        try:
            return self._wait_for_answer(response["OutputLocation"], response.get("FailureLocation"))
        finally:
            delete_objects(self._deployment, [key])

    def _wait_for_answer(self, output_uri: str, failure_uri: str | None) -> bytes:
        begin, limit = time.monotonic(), WAKE_SECONDS if self._config.scale_to_zero else ANSWER_SECONDS
        while time.monotonic() - begin < limit:
            for uri in filter(None, (output_uri, failure_uri)):
                content = self._take_object(uri)
                if content is None:
                    continue
                if uri == output_uri:
                    return content
                text = content[:1000].decode(errors="replace")
                raise ToolError(f"the endpoint answered the first question with an error: {text}")
            time.sleep(POLL_SECONDS)
        raise ToolError(f"there is no answer at {output_uri} after {limit} s: run the same `up` to ask again")

    def _take_object(self, uri: str) -> bytes | None:
        """Read and delete an object. Return None if it does not exist."""
        bucket, key = split_s3_uri(uri)
        response = self._aws.find("s3", "GetObject", _NO_OBJECT, Bucket=bucket, Key=key)
        if response is None:
            return None
        content: bytes = response["Body"].read()
        self._aws.call("s3", "DeleteObject", Bucket=bucket, Key=key)
        return content

    def _show(self, body: bytes) -> None:
        self._deployment.report(f"{QUESTION['question']} {shown(json.loads(body))}")


def shown(answer: Mapping[str, Any]) -> str:
    """Return an answer in one line, or the highlights if these are what the endpoint returns by default."""
    if "highlights" not in answer:
        return f"{answer['answer']} ({answer['version']}, score {answer['score']:.2f})"
    highlights = answer["highlights"]
    if not highlights:
        return f"(no sentence is highlighted, {answer['version']})"
    score = max(each["score"] for each in highlights)
    return f"{' '.join(each['text'] for each in highlights)} ({answer['version']}, score {score:.2f})"
