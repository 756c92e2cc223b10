"""The dashboards and the rules of deploy/observability, and a real Prometheus that scrapes a server."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.waiting import wait_until
from tools.local_server import free_port

FOLDER = Path(__file__).parents[1] / "deploy" / "observability"
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))
MISSING = "is missing; `apt-get install prometheus` brings it"
# A metric or a recorded series, and what its labels must be.
SELECTOR = re.compile(r"(?:\b(?:job:)?bertqa_\w+(?::\w+)?|\bup)(?:\{[^}]*\})?(?![\w(])")


def program(name: str) -> str:
    """Return the path of a program of Debian's package prometheus, or skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} {MISSING}")
    return found


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the title and the content of each panel."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield f"{path.stem}: {panel['title']}", panel


def panel_expressions() -> dict[str, str]:
    """Every query of every panel, for any job and instance, over a short time."""
    found = {}
    for title, panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "30s").replace("[1h]", "[30s]")
            found[f"{title} {target['refId']}"] = expression.replace("$job", ".*").replace("$instance", ".*")
    return found


def rules() -> dict[str, dict[str, Any]]:
    """Every rule, by its name."""
    groups = [
        group for name in ("rules.yml", "alerts.yml") for group in yaml.safe_load((FOLDER / name).read_text())["groups"]
    ]
    return {rule.get("record") or rule["alert"]: rule for group in groups for rule in group["rules"]}


def selectors(expression: str) -> set[str]:
    """The selectors in an expression."""
    return set(SELECTOR.findall(re.sub(r"\b(?:by|without|on) \([^)]*\)", "", expression)))


class Prometheus:
    """A Prometheus that is running. Not asked with httpx, whose responses the tests compare with the server's API."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, **parameters: object) -> Any:
        """Return the data of an answer."""
        address = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with self._opener.open(address, timeout=60) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an expression now."""
        result: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return result

    def values(self, expression: str) -> list[float]:
        """Return the values of an expression now."""
        return [float(sample["value"][1]) for sample in self.query(expression)]


@contextmanager
def prometheus(port_of_server: int, folder: Path) -> Iterator[Prometheus]:
    """Run Debian's Prometheus with the rules of deploy/observability. It scrapes a server every two seconds."""
    binary = program("prometheus")
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{port_of_server}"]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    options = ("--enable-feature=exemplar-storage", "--log.level=warn")
    paths = (f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}")
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([binary, *paths, *options], stdout=log, stderr=log) as process,
    ):
        running = Prometheus(f"http://{address}")
        try:
            wait_until("Prometheus has scraped the server", lambda: _has_scraped(running))
            yield running
        finally:
            process.terminate()


def _has_scraped(running: Prometheus) -> bool:
    try:
        return running.values("up") == [1.0]
    except OSError:  # it is starting
        return False
