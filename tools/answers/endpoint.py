"""Answers of a SageMaker endpoint that runs this project's image."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from container.precision import PRECISIONS, Precision
from serve.qa.spans import SpanRules
from tools.answers.source import Reply, remote_answers, request_body
from tools.errors import ToolError
from tools.remote.client import EndpointClient
from tools.squad.examples import Example
from tools.squad.question_limit import QuestionLimit
from tools.squad.rules import EVALUATION_RULES, MAX_QUESTION_LEN

FIRST_QUESTION = Example("first question", "Who built it?", "Zoë Müller built it.", ("Zoë Müller",))
_UNKNOWN = "unknown"


class EndpointSource:
    """A SageMaker endpoint as an AnswerSource.

    If a variant has the name of a precision, questions in that precision go to that variant.

    Attributes:
        precisions: the precisions to answer in.
        endpoints: for each precision, the endpoint with the variant to ask.
        instance_type: the type of the instances that answer for one precision; "" if unknown.
        instances: the number of these instances; 0 if unknown.

    The instances are unknown if the endpoint is serverless, its variants differ, or the caller lacks the
    permission to describe it.
    """

    def __init__(
        self,
        endpoint: EndpointClient,
        wanted: tuple[Precision, ...] | None,
        question_limit: QuestionLimit | None = None,
    ) -> None:
        """Ask one question in each precision, since an endpoint passes on no other request than /invocations.

        Raises: ToolError if the endpoint answers in no precision, or not in all that are wanted.
        """
        self.question_limit = question_limit or QuestionLimit()
        self._name = endpoint.name
        self._configuration = endpoint.configuration()
        variants = self._configuration.variants if self._configuration else {}
        self.endpoints: dict[Precision, EndpointClient] = {}
        refusals = []
        for precision in wanted or PRECISIONS:
            one = endpoint.for_variant(precision) if precision in variants and not endpoint.variant else endpoint
            try:
                found = json.loads(one(request_body(precision, FIRST_QUESTION, EVALUATION_RULES, MAX_QUESTION_LEN)))
                if found["precision"] == precision:
                    self.endpoints[precision] = one
                else:
                    refusals.append(f"{precision}: {endpoint.name} answers in {found['precision']} instead")
            except ToolError as error:
                refusals.append(f"{precision}: {error}")
            except (ValueError, KeyError, TypeError):
                raise ToolError(f"{endpoint.name} does not run this project's image") from None
        if not self.endpoints or (wanted and len(self.endpoints) < len(wanted)):
            raise ToolError("; ".join(refusals))
        self.precisions: Sequence[Precision] = list(self.endpoints)
        self.instance_type, self.instances = self._hardware(variants)

    def _hardware(self, variants: Mapping[str, tuple[str, int]]) -> tuple[str, int]:
        """Return type and number of the instances that answer for one precision; ("", 0) if precisions differ.

        If no variant is named in the request, SageMaker chooses one by the traffic's weights, so all variants count.
        """
        of_each = set()
        for endpoint in self.endpoints.values():
            asked = [variants[name] for name in variants if endpoint.variant in (name, None)]
            types = {instance_type for instance_type, _ in asked}
            of_each.add((types.pop() if len(types) == 1 else "", sum(instances for _, instances in asked)))
        return of_each.pop() if len(of_each) == 1 else ("", 0)

    def info(self) -> Mapping[str, Any]:
        """Describe the endpoint in the form of the server's /info, which an endpoint does not pass on."""
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
        """Return the endpoint's ARN and configuration, which changes with the artifact; None if they are unreadable."""
        found = self._configuration
        return {"arn": found.arn, "configuration": found.name} if found else None

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[Reply]:
        """Yield the replies in the order of the examples. A few requests are sent at the same time.

        Raises: ToolError.
        """
        yield from remote_answers(self.endpoints[precision], precision, examples, rules, self.question_limit)
