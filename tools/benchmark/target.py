"""What a benchmark measures: a server that it starts, a server that already runs, or a SageMaker endpoint."""

import argparse
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from container.precision import PRECISIONS, Precision
from tools.answers.endpoint import EndpointSource
from tools.answers.server import ServerSource
from tools.answers.source import AnswerSource
from tools.arguments import parse_precisions
from tools.benchmark.invocation_api import InvocationApi
from tools.local_server import LocalServer
from tools.process_tree import ProcessTree
from tools.remote.client import EndpointClient
from tools.remote.instance_prices import Price
from tools.squad.examples import Example
from tools.squad.rules import EVALUATION_RULES

SHUFFLE_SEED = 0


@dataclass(frozen=True)
class Target:
    """Where to send requests, and which.

    Attributes:
        url: the server, without the path.
        processes: the server's processes; None if they run on another machine.
        bodies: the requests of each precision, FP32's first.
        apis: how the container is reached, for the precisions that do not use plain HTTP.
        find_price: returns what AWS asks for an instance type where the target is, or None.
    """

    url: str
    processes: ProcessTree | None
    bodies: Mapping[Precision, Sequence[bytes]]
    apis: Mapping[Precision, InvocationApi] = field(default_factory=dict)
    find_price: Callable[[str], Price | None] = lambda _: None


@contextmanager
def open_target(
    given: argparse.Namespace, examples: Sequence[Example]
) -> Iterator[tuple[ServerSource | EndpointSource, Target]]:
    """Find the target that the command line names, and check that it answers in each precision.

    With --model-dir, a server is started, and stopped at the end.

    Raises: ToolError.
    """
    wanted = parse_precisions(given.precisions)
    if given.endpoint:
        endpoint = EndpointClient(given.endpoint, given.region)
        source = EndpointSource(endpoint, wanted)
        yield source, Target(endpoint.url, None, _bodies(source, examples), source.endpoints, endpoint.price_of)
    elif given.url:
        yield _server_target(given.url.rstrip("/"), wanted, examples)
    else:
        with LocalServer(given.model_dir, log=given.output / "server.log") as server:
            yield _server_target(server.url, wanted, examples)


def _server_target(
    url: str, wanted: tuple[Precision, ...] | None, examples: Sequence[Example]
) -> tuple[ServerSource, Target]:
    source = ServerSource(url, wanted)
    return source, Target(url, ProcessTree.behind(url), _bodies(source, examples))


def _bodies(source: AnswerSource, examples: Sequence[Example]) -> dict[Precision, list[bytes]]:
    """Return the requests of each precision, FP32's first, since the others are compared with it.

    The questions are shuffled: neighbours in a file share their context, and each round sends only a part of the file.

    Raises: ToolError if the first question of a precision is refused.
    """
    shuffled = random.Random(SHUFFLE_SEED).sample(examples, len(examples))
    bodies = {}
    for precision in sorted(source.precisions, key=PRECISIONS.index, reverse=True):
        objects = [{"question": one.question, "context": one.context, "precision": precision} for one in shuffled]
        bodies[precision] = [json.dumps(body).encode() for body in objects]
        list(source.answers(precision, shuffled[:1], EVALUATION_RULES))
    return bodies
