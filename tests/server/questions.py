"""The questions that the tests ask, and how they ask them."""

from typing import Any

import httpx

from tools.local_server import LocalServer

QUESTION = "Who built the lighthouse?"
ANSWER = "Zoë Müller"
CONTEXT = (
    "The lighthouse at Cape Arden was built in 1871 by the engineer Zoë Müller. It stands 42 metres tall and is "
    "painted red and white. Its lamp can be seen from 30 kilometres away."
)
LONG_TEXT = "The harbour office kept careful records of every ship that came in. " * 150  # about 2,000 tokens
BODY = {"question": QUESTION, "context": "The lighthouse was built in 1871 by Zoë Müller."}


def long_body(sentences: int) -> dict[str, str]:
    """Return a request whose answer follows this many sentences of about 9 tokens each."""
    return {**BODY, "context": "It rained all day in the harbour. " * sentences + BODY["context"]}


def post(server: LocalServer, body: dict[str, Any]) -> httpx.Response:
    """Send a request on a connection of its own, and return the response whatever its status is."""
    return httpx.post(f"{server.url}/invocations", json=body, timeout=60)


def ask(client: httpx.Client, **body: Any) -> Any:
    """Send a request that must be answered, and return the body of the response."""
    response = client.post("/invocations", json=body)
    assert response.status_code == 200, response.text
    return response.json()
