"""Choices that depend on the hardware of the server: the price of an hour, and the number of clients."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tools.errors import ToolError
from tools.fingerprint import server_cores
from tools.remote.instance_prices import DEFAULT_INSTANCE, Price, price_of

CLIENTS_PER_CORE = 2  # one is served while the other one waits, so that no core is idle between two questions
_UNKNOWN_HARDWARE = (
    "the hardware of the endpoint is unknown (it is serverless, its variants differ, or you lack the permission to "
    "describe it)"
)


def choose_price(
    given: argparse.Namespace, info: Mapping[str, Any], find_price: Callable[[str], Price | None] = lambda _: None
) -> Price:
    """Return the price on the command line; without one, that of the endpoint's instances or of a default instance.

    find_price: returns AWS's price of an instance type, or None if it is unknown; then the table of prices counts.

    Raises: ToolError if there is no price.
    """
    endpoint = info.get("endpoint", {})
    instances = endpoint.get("instances") or 1
    if given.dollars_per_hour:
        return Price(None, given.dollars_per_hour, "the user", instances)
    instance = given.instance or endpoint.get("instance_type", DEFAULT_INSTANCE)
    if not instance:
        raise ToolError(f"{_UNKNOWN_HARDWARE}: give the price with --dollars-per-hour")
    return replace(find_price(instance) or price_of(instance), instances=instances)


def choose_clients(given: argparse.Namespace, info: Mapping[str, Any]) -> Sequence[int]:
    """Return the numbers of clients on the command line; without them, 1 and as many as saturate the server.

    Raises: ToolError if the number of cores is unknown.
    """
    if not given.clients and not server_cores(info):
        raise ToolError(f"{_UNKNOWN_HARDWARE}: give --clients, such as 1,8")
    return given.clients or sorted({1, CLIENTS_PER_CORE * server_cores(info)})
