"""The client of an asynchronous endpoint, whose requests a session answers without AWS."""

from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tools.errors import ToolError
from tools.remote.async_client import AsyncEndpointClient
from tools.remote.aws import Aws


def test_a_caller_who_may_not_list_the_bucket_is_told_where_the_answer_will_be() -> None:
    """S3 answers AccessDenied in the place of NoSuchKey then."""
    answers: dict[str, tuple[int, dict[str, Any]]] = {
        "PutObject": (200, {}),
        "InvokeEndpointAsync": (202, {"OutputLocation": "s3://theirs/output/1.out"}),
        "GetObject": (403, {"Error": {"Code": "AccessDenied", "Message": "not you"}}),
    }

    def answer(model: Any, **_: Any) -> Any:
        status, content = answers[model.name]
        return SimpleNamespace(status_code=status), content

    session = boto3.Session("test", "test", region_name="eu-west-1")
    session.events.register("before-call", answer)
    ask = AsyncEndpointClient("bert-qa", "s3://theirs/questions", aws=Aws("eu-west-1", session=session))
    with pytest.raises(ToolError, match="s3:ListBucket on theirs.*look for the object s3://theirs/output/1.out later"):
        ask(b"{}")
