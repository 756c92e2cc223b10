"""Every error of a request has its place in the table of statuses."""

from serve.api.invocation import ERROR_STATUS
from serve.errors import RequestError


def test_every_request_error_has_a_status() -> None:
    def all_below(cls: type[RequestError]) -> set[type[RequestError]]:
        return {below for child in cls.__subclasses__() for below in {child, *all_below(child)}}

    assert set(ERROR_STATUS) == all_below(RequestError)
