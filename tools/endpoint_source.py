"""Answers of a SageMaker endpoint that runs this project's image."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from container.precision import PRECISIONS, Precision
from serve.spans import SpanRules
from tools.answer_source import RULES, remote_answers, request_body
from tools.errors import ToolError
from tools.remote import Endpoint
from tools.squad import Example

PROBE = Example("probe", "Who built it?", "Zoë Müller built it.", ("Zoë Müller",))
_UNKNOWN = "not told by an endpoint"


class EndpointSource:
    """An AnswerSource."""

    def __init__(self, endpoint: Endpoint, wanted: tuple[Precision, ...] | None) -> None:
        """Find out what it serves by asking: an endpoint passes on no other path than /invocations.

        Raises: ToolError where it serves none, or not what is wanted.
        """
        self._endpoint = endpoint
        self._configuration = endpoint.configuration()
        served, refusals = [], []
        for precision in wanted or PRECISIONS:
            try:
                found = json.loads(endpoint(request_body(precision, PROBE, RULES)))
                if found["version"] == precision:
                    served.append(precision)
            except ToolError as error:
                refusals.append(f"{precision}: {error}")
            except (ValueError, KeyError, TypeError):
                raise ToolError(f"{endpoint.name} does not run this project's image") from None
        if not served or (wanted and len(served) < len(wanted)):
            raise ToolError("; ".join(refusals))
        self.precisions: Sequence[Precision] = served

    def info(self) -> Mapping[str, Any]:
        """In the shape of /info, which an endpoint does not pass on."""
        cpu = {"model": (self._configuration or {}).get("instance_type") or _UNKNOWN, "isa": _UNKNOWN}
        return {
            "model": {"name": self._endpoint.name},
            "cpu": cpu,
            "versions": {},
            "lanes": [],
            "precisions": {precision: {} for precision in self.precisions},
            "endpoint": self._configuration,
        }

    def identity(self, precision: Precision) -> Mapping[str, Any] | None:
        """Its ARN and configuration, which a new artifact changes; None where they may not be read."""
        return dict(self._configuration) if self._configuration else None

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[str]:
        """A few requests at once, which are answered in order.

        Raises: ToolError.
        """
        yield from remote_answers(self._endpoint, precision, examples, rules)
