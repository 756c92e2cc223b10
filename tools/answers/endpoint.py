"""Answers of a SageMaker endpoint that runs this project's image."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from container.precision import PRECISIONS, Precision
from serve.qa.spans import SpanRules
from tools.answers.source import RULES, remote_answers, request_body
from tools.errors import ToolError
from tools.remote.client import EndpointClient
from tools.squad.examples import Example

PROBE = Example("probe", "Who built it?", "Zoë Müller built it.", ("Zoë Müller",))
_UNKNOWN = "not told by an endpoint"


class EndpointSource:
    """An AnswerSource. Where a variant is named as a precision, it is the one that is asked for that precision.

    instances: how many answer for one precision; instance_type: theirs. 0 and empty where that cannot be told: it is
    serverless, its variants differ, or the caller may not describe it.
    """

    def __init__(self, endpoint: EndpointClient, wanted: tuple[Precision, ...] | None) -> None:
        """Find out what it serves by asking: an endpoint passes on no other path than /invocations.

        Raises: ToolError where it serves none, or not what is wanted.
        """
        self._name = endpoint.name
        self._configuration = endpoint.configuration()
        variants = self._configuration.variants if self._configuration else {}
        self.endpoints: dict[Precision, EndpointClient] = {}
        refusals = []
        for precision in wanted or PRECISIONS:
            one = endpoint.for_variant(precision) if precision in variants and not endpoint.variant else endpoint
            try:
                found = json.loads(one(request_body(precision, PROBE, RULES)))
                if found["version"] == precision:
                    self.endpoints[precision] = one
            except ToolError as error:
                refusals.append(f"{precision}: {error}")
            except (ValueError, KeyError, TypeError):
                raise ToolError(f"{endpoint.name} does not run this project's image") from None
        if not self.endpoints or (wanted and len(self.endpoints) < len(wanted)):
            raise ToolError("; ".join(refusals))
        self.precisions: Sequence[Precision] = list(self.endpoints)
        self.instance_type, self.instances = self._hardware(variants)

    def _hardware(self, variants: Mapping[str, tuple[str, int]]) -> tuple[str, int]:
        """Where the weights choose a variant, all of them answer for one precision."""
        of_each = set()
        for endpoint in self.endpoints.values():
            asked = [variants[name] for name in variants if endpoint.variant in (name, None)]
            types = {instance_type for instance_type, _ in asked}
            of_each.add((types.pop() if len(types) == 1 else "", sum(instances for _, instances in asked)))
        return of_each.pop() if len(of_each) == 1 else ("", 0)

    def info(self) -> Mapping[str, Any]:
        """In the shape of /info, which an endpoint does not pass on."""
        found = self._configuration
        about = {"arn": found.arn, "configuration": found.name} if found else {}
        return {
            "model": {"name": self._name},
            "cpu": {"model": self.instance_type or _UNKNOWN, "isa": _UNKNOWN},
            "versions": {},
            "lanes": [],
            "precisions": {precision: {} for precision in self.precisions},
            "endpoint": {**about, "instance_type": self.instance_type, "instances": self.instances},
        }

    def identity(self, precision: Precision) -> Mapping[str, Any] | None:
        """Its ARN and configuration, which a new artifact changes; None where they may not be read."""
        found = self._configuration
        return {"arn": found.arn, "configuration": found.name} if found else None

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[str]:
        """A few requests at once, which are answered in order.

        Raises: ToolError.
        """
        yield from remote_answers(self.endpoints[precision], precision, examples, rules)
