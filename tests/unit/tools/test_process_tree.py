"""URLs behind which no process of this machine listens."""

import pytest

from tools.local_server import free_port
from tools.process_tree import ProcessTree


@pytest.mark.parametrize("url", ["https://example.com", "http://192.0.2.7:8080"])
def test_no_processes_are_found_behind_a_url_of_another_machine(url: str) -> None:
    assert ProcessTree.behind(url) is None


def test_no_processes_are_found_behind_a_free_port() -> None:
    assert ProcessTree.behind(f"http://127.0.0.1:{free_port()}") is None
