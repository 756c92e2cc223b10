"""How peers are run: without telemetry, from exact pins. No environment is installed, and no model is loaded."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.peers.environments import NO_TELEMETRY, REQUIREMENTS
from benchmarks.peers.servers import PEERS, ModelFormats, Peer, running

README = Path("benchmarks/peers/README.md")
ECHO_OF_THE_ENVIRONMENT = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def made_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lay out an environment as if it had been made after its pins, and return its name."""
    monkeypatch.chdir(tmp_path)
    environment = tmp_path / "build" / "peers" / "env" / "article"
    (environment / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (environment / "ready").touch()
    return environment.name


def test_a_peer_runs_without_telemetry(made_environment: str, tmp_path: Path) -> None:
    peer = Peer(
        "echo",
        made_environment,
        lambda models, port, settings: [sys.executable, "-c", ECHO_OF_THE_ENVIRONMENT, str(port)],
        {"THREADS": "1"},
    )
    with running(peer, ModelFormats(tmp_path, tmp_path, tmp_path), peer.settings, b"{}") as server:
        seen = json.loads(httpx.post(server.url + server.path, content=b"{}").content)
    assert NO_TELEMETRY.items() <= seen.items()
    assert (seen["OMP_NUM_THREADS"], seen["CHECKPOINT"]) == ("1", str(tmp_path))


def test_the_packages_obey_the_variables(tmp_path: Path) -> None:
    script = (
        "from huggingface_hub.constants import HF_HUB_DISABLE_TELEMETRY\n"
        "from openvino.tools.ovc.telemetry_utils import init_ovc_telemetry\n"
        "print(HF_HUB_DISABLE_TELEMETRY, init_ovc_telemetry().consent)\n"
    )

    def printed(variables: dict[str, str]) -> str:
        others = {name: value for name, value in os.environ.items() if name not in NO_TELEMETRY}
        environment = others | {"HOME": str(tmp_path)} | variables
        return subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert printed(NO_TELEMETRY) == "True False"
    assert not (tmp_path / "intel").exists()  # openvino-telemetry would keep the identity of this machine there
    assert printed({}) == "False True"


@pytest.mark.parametrize("name", sorted({peer.environment for peer in PEERS}))
def test_an_environment_has_exact_pins(name: str) -> None:
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    requirements = [line for line in lines if not line.startswith(("#", "-c "))]
    assert requirements
    assert not [line for line in requirements if not re.match(r"[\w\[\]-]+==[\w.]+(\s+#.*)?$", line)]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_the_readme_describes_each_peer_and_compares_its_answers(peer: Peer) -> None:
    description, *_, answers = README.read_text().split("\n## ")
    assert f"| `{peer.name}` |" in description
    assert f"| `{peer.name}` |" in answers
