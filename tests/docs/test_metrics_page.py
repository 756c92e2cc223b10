"""docs/metrics.md against the metrics that the code defines, and all pages against the names of metrics."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from serve.metrics import Metrics
from serve.request_metrics import OUTCOMES, STAGES
from tests.docs import pages

PAGE = pages.DOCS / "metrics.md"
SECTIONS = ("Requests", "Windows and the queue", "Lanes and readiness", "The server", "The guard")


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels by name."""
    table = [row for title in SECTIONS for row in pages.rows(pages.section(PAGE, title)) if row[0] != "metric"]
    found = {pages.names(name)[0]: (kind, set(pages.names(labels))) for name, kind, labels, meaning in table if meaning}
    assert len(found) == len(table), "a metric stands twice, or has no meaning"
    return found


def defined() -> dict[str, tuple[str, set[str]]]:
    """Type and labels by the name that Prometheus sees."""
    metrics = Metrics()
    found = {}
    for collector in vars(metrics).values():
        if isinstance(collector, MetricWrapperBase):
            (family,) = collector.describe()
            suffix = "_total" if family.type == "counter" else ""
            found[family.name + suffix] = (
                family.type,
                set(collector._labelnames),
            )  # the library has no public name for it
    assert len(found) == len(list(metrics.registry.collect())), "a metric is not an attribute of Metrics"
    return found


def test_every_metric_has_its_row_with_type_and_labels_and_there_is_no_other() -> None:
    assert documented() == defined()


def test_every_label_is_explained() -> None:
    explained = {
        label: row[1]
        for row in pages.rows(pages.section(PAGE, "Labels"))
        for label in pages.names(row[0])
        if row[0] != "label"
    }
    assert set(explained) == {label for _, labels in defined().values() for label in labels}
    assert set(STAGES) <= set(pages.names(explained["stage"]))
    assert set(OUTCOMES) <= set(pages.names(explained["outcome"]))


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name_of)
def test_metrics_that_a_page_names_exist(page: Path) -> None:
    histograms = {name for name, (kind, _) in defined().items() if kind == "histogram"}
    series = {f"{name}_{suffix}" for name in histograms for suffix in ("bucket", "count", "sum")}
    assert set(re.findall(r"bertqa_[a-z0-9_]+", page.read_text())) <= {*defined(), *series}
