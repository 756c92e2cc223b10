"""The dashboards and the rules of deploy/observability, and a real Prometheus that scrapes a server."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs import pages
from tests.waiting import wait_until
from tools.local_server import free_port

FOLDER = Path(__file__).parents[1] / "deploy" / "observability"
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))
MISSING = "is missing; `apt-get install prometheus` brings it"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
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


def panel_expressions(interval: str = "30s") -> dict[str, str]:
    """Every query of every panel, for any job and instance, over a short time."""
    found = {}
    for title, panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", interval).replace("[1h]", f"[{interval}]")
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


def runbook_queries(section: str) -> list[str]:
    """The queries of an entry of the runbook."""
    return re.findall(r"```promql\n(.*?)\n```", pages.section(pages.DOCS / "runbook.md", section), re.DOTALL)


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

    def firing(self) -> set[tuple[str, str]]:
        """Return the alerts that fire now, each with its job, which is empty for BertQaAbsent."""
        alerts = self.get("alerts")["alerts"]
        return {
            (each["labels"]["alertname"], each["labels"].get("job", "")) for each in alerts if each["state"] == "firing"
        }

    def wait_until_firing(self, alert: str) -> None:
        """Wait for an alert of the job `bert-qa`."""
        wait_until(f"{alert} fires", lambda: (alert, "bert-qa") in self.firing())


@dataclass(frozen=True)
class Pace:
    """How often Prometheus scrapes and evaluates, and how much shorter the rules are than in deploy/observability.

    scrape_seconds: None leaves both intervals as they are in prometheus.yml. for_divisor: of each `for`;
    window_divisor: of each window, such as [5m].
    """

    scrape_seconds: int | None = 2
    for_divisor: int = 60
    window_divisor: int = 1


AS_THEY_ARE = Pace(None, 1, 1)


def shortened(rules_text: str, pace: Pace) -> str:
    """Divide the times of rules, so that a test need not wait for minutes. Names that contain a time stay."""

    def divided(match: re.Match[str], divisor: int) -> str:
        seconds = int(match[2]) * SECONDS[match[3]]
        return match[0] if divisor == 1 else f"{match[1]}{max(1, seconds // divisor)}s{match[4]}"

    text = re.sub(r"(\bfor: )(\d+)([smhd])()", lambda match: divided(match, pace.for_divisor), rules_text)
    return re.sub(r"(\[)(\d+)([smhd])(\])", lambda match: divided(match, pace.window_divisor), text)


def _write_configuration(folder: Path, jobs: Mapping[str, Path], pace: Pace) -> Path:
    """Write the configuration and the rules of deploy/observability, for other jobs and at another pace."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    if pace.scrape_seconds:
        scrape = f"{pace.scrape_seconds}s"
        config["global"] = {"scrape_interval": scrape, "scrape_timeout": scrape, "evaluation_interval": "1s"}
    (template,) = config["scrape_configs"]
    del template["static_configs"]
    config["scrape_configs"] = [
        {**template, "job_name": name, "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "5s"}]}
        for name, targets in jobs.items()
    ]
    for name in config["rule_files"]:
        (folder / name).write_text(shortened((FOLDER / name).read_text(), pace))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def write_targets(path: Path, ports: Sequence[int]) -> None:
    """Write the file from which Prometheus reads the servers of a job. It may be written again at any time."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}" for port in ports]}]))
    new.replace(path)


@contextmanager
def prometheus_of(jobs: Mapping[str, Path], folder: Path, pace: Pace) -> Iterator[Prometheus]:
    """Run Debian's Prometheus with the rules of deploy/observability. jobs: a file of write_targets for each."""
    binary = program("prometheus")
    path = _write_configuration(folder, jobs, pace)
    address = f"127.0.0.1:{free_port()}"
    options = ("--enable-feature=exemplar-storage", "--log.level=warn")
    paths = (f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}")
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([binary, *paths, *options], stdout=log, stderr=log) as process,
    ):
        running = Prometheus(f"http://{address}")
        try:
            wait_until("Prometheus answers", lambda: _answers(running))
            yield running
        finally:
            process.terminate()


@contextmanager
def prometheus(ports: Sequence[int], folder: Path, pace: Pace = Pace()) -> Iterator[Prometheus]:
    """Run Debian's Prometheus for servers of the job `bert-qa`, and wait until it has scraped the first one."""
    targets = folder / "targets.json"
    write_targets(targets, ports)
    with prometheus_of({"bert-qa": targets}, folder, pace) as running:
        first = f'up{{instance="127.0.0.1:{ports[0]}"}}'
        wait_until("Prometheus has scraped the server", lambda: running.values(first) == [1.0])
        yield running


def _answers(running: Prometheus) -> bool:
    try:
        return running.query("vector(1)") != []
    except OSError:  # it is starting
        return False
