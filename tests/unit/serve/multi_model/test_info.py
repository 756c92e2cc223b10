"""GET /models returns the models of a multi-model endpoint in pages, and /metrics has the metrics of all of them."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from serve.metrics import Metrics, exposition
from serve.multi_model.info import PAGE_MODELS, WithModelLabel, page
from serve.request_metrics import RequestMetrics


def test_a_long_list_of_models_is_divided_into_pages() -> None:
    models = [(f"{number:04}", "/opt/ml/models/x/model") for number in range(2 * PAGE_MODELS + 1)]
    seen: list[Any] = []
    body = page(models, "")
    while "nextPageToken" in body:
        seen.append(body["models"])
        body = page(models, str(body["nextPageToken"]))
    seen.append(body["models"])
    assert [len(part) for part in seen] == [PAGE_MODELS, PAGE_MODELS, 1]
    assert [model["modelName"] for part in seen for model in part] == [name for name, _ in models]


@pytest.mark.parametrize("trace_id", [None, "ab" * 16])
def test_the_metrics_of_all_models_are_one_valid_text_with_a_label_for_the_model(trace_id: str | None) -> None:
    of_models = {"": RequestMetrics(), "first": Metrics(), "second": Metrics()}
    for number, metrics in enumerate(of_models.values()):
        for _ in range(number):
            metrics.request(200, 0.02, None, trace_id)
    registry = CollectorRegistry()
    registry.register(WithModelLabel(of_models))
    text = exposition(registry, "application/openmetrics-text; version=1.0.0")[0].decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
    counted = {each.labels["model"]: each.value for each in families["bertqa_requests"].samples if each.value}
    assert counted == {"first": 1.0, "second": 2.0}
    exemplars = [each.exemplar for each in families["bertqa_request_seconds"].samples if each.exemplar]
    assert [each.labels for each in exemplars] == ([{"trace_id": trace_id}] * 2 if trace_id else [])
    assert {each.labels["model"] for each in families["bertqa_ready"].samples} == {"first", "second"}
