"""The processes of a real server, found by its URL."""

import contextlib

import psutil

from tools.local_server import LocalServer
from tools.process_tree import ProcessTree


def test_the_processes_behind_a_url_are_found(server: LocalServer) -> None:
    tree = ProcessTree.behind(server.url)
    assert tree is not None
    assert tree.root.pid == server.process.pid
    assert tree.cpu_seconds() > 0
    children = tree.root.children(recursive=True)
    assert len(children) >= 3  # worker, zygote and a lane
    resident = 0
    for process in (tree.root, *children):
        with contextlib.suppress(psutil.NoSuchProcess):  # a text process that has ended since it was listed
            resident += process.memory_info().rss
    assert resident / 10 < tree.memory_bytes() < resident  # shared pages are counted once
