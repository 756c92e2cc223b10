"""deploy/observability: what can be checked of rules, dashboards, the PodMonitor and the compose file without load."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from serve.metrics import Metrics
from tests.docs import pages
from tests.observability import (
    AS_THEY_ARE,
    DASHBOARDS,
    FOLDER,
    Pace,
    panel_expressions,
    panels,
    program,
    rules,
    selectors,
    shortened,
)

TESTS = ("rules_test.yml", "rules_days_test.yml")
SERIES = {
    name
    for family in Metrics().registry.collect()
    for name in (family.name, *(f"{family.name}_{end}" for end in ("total", "bucket", "sum", "count")))
}


def test_promtool_accepts_the_rules_and_their_tests_pass() -> None:
    promtool = program("promtool")
    for command in (["check", "rules", "rules.yml", "alerts.yml"], ["test", "rules", *TESTS]):
        done = subprocess.run([promtool, *command], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_configuration() -> None:
    done = subprocess.run(
        [program("promtool"), "check", "config", FOLDER / "prometheus.yml"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    tested = {name for file in TESTS for name in re.findall(r"alertname: (\w+)", (FOLDER / file).read_text())}
    assert {name for name, rule in rules().items() if "alert" in rule} == tested


def test_dashboards_and_rules_name_only_metrics_that_exist() -> None:
    recorded = set(rules())
    expressions = [*panel_expressions().values(), *(rule["expr"] for rule in rules().values())]
    named = {selector.partition("{")[0] for expression in expressions for selector in selectors(expression)}
    assert len(named) > 25
    assert named <= {*SERIES, *recorded, "up"}


def test_every_alert_leads_to_an_entry_of_the_runbook() -> None:
    anchors = pages.anchors(pages.DOCS / "runbook.md")
    for name, rule in rules().items():
        if "alert" in rule:
            page, _, anchor = rule["annotations"]["runbook"].partition("#")
            assert (page, anchor in anchors) == ("docs/runbook.md", True), name
            assert rule["labels"]["severity"] in ("page", "ticket")


def test_shorter_rules_differ_from_the_rules_only_in_their_times() -> None:
    text = "record: job:x:ratio_rate5m\nexpr: rate(x[5m]) > 0.1 and increase(y[1h]) > 50\nfor: 2m\n"
    assert shortened(text, AS_THEY_ARE) == text
    assert shortened(text, Pace(2, 60, 1)) == text.replace("for: 2m", "for: 2s")
    assert shortened(text, Pace(1, 30, 30)) == text.replace("[5m]", "[10s]").replace("[1h]", "[120s]").replace(
        "2m", "4s"
    )
    for name in ("rules.yml", "alerts.yml"):
        rules_text = (FOLDER / name).read_text()
        assert shortened(rules_text, AS_THEY_ARE) == rules_text


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_has_what_grafana_needs_and_its_panels_do_not_overlap(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    assert dashboard["schemaVersion"] >= 36
    assert {each["name"] for each in dashboard["templating"]["list"]} == {"datasource", "job", "instance"}
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["type"] in ("timeseries", "stat")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert [target["refId"] for target in panel["targets"]] == list("ABC"[: len(panel["targets"])])
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_every_panel_has_a_title_of_its_own() -> None:
    titles = [title for title, _ in panels()]
    assert len(titles) == len(set(titles)) > 20


def test_the_pod_monitor_finds_the_pods_and_the_port_of_the_manifest() -> None:
    monitor = yaml.safe_load((FOLDER / "podmonitor.yaml").read_text())
    objects = {each["kind"]: each for each in yaml.safe_load_all((FOLDER.parent / "kubernetes.yaml").read_text())}
    pod = objects["Deployment"]["spec"]["template"]
    wanted = monitor["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    assert endpoint["path"] == "/metrics"


def test_the_compose_file_mounts_files_that_exist_and_listens_on_this_machine_only() -> None:
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    assert set(services) == {"server", "prometheus", "grafana"}
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for volume in service.get("volumes", ()):
            assert (FOLDER / volume.split(":")[0]).exists(), volume
    assert services["server"]["image"] in (FOLDER.parent / "kubernetes.yaml").read_text()
