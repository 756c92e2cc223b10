"""What a multi-model endpoint reports: pages of /models, /info, and metrics with a label for the model."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from container import contract
from serve.api.info import info as model_info
from serve.api.telemetry import gauges
from serve.metrics import exposition
from serve.multi_model.registry import LoadedModel, ModelRegistry
from serve.request_metrics import RequestMetrics

PAGE_MODELS = 100


def entry(name: str, url: str) -> dict[str, str]:
    """Return a model as GET /models/{name} shows it."""
    return {"modelName": name, "modelUrl": url}


def page(loaded: Iterable[tuple[str, str]], token: str) -> dict[str, object]:
    """Return one page of GET /models: of the models sorted by name, those that come after the token.

    loaded: names and urls, sorted. The last page has no nextPageToken.
    """
    rest = [(name, url) for name, url in loaded if name > token]
    body: dict[str, object] = {"models": [entry(name, url) for name, url in rest[:PAGE_MODELS]]}
    if len(rest) > PAGE_MODELS:
        body["nextPageToken"] = rest[PAGE_MODELS - 1][0]
    return body


def info(models: ModelRegistry) -> dict[str, object]:
    """Return the body of /info."""
    return {
        "state": models.state,
        "version": contract.VERSION,
        "models": {model.name: model_info(model.lifecycle) for model in models},
    }


def metrics(models: ModelRegistry, accept: str) -> tuple[bytes, str]:
    """Return the metrics of all models and their media type, each metric with the label `model`.

    The label is empty for requests that belong to no model, such as those with an unknown path, and for the server.
    """
    gauges.refresh_server(models.metrics, models.usage)
    registry = CollectorRegistry()
    registry.register(_WithModelLabel(list(models), models.metrics))
    return exposition(registry, accept)


class _WithModelLabel(Collector):
    def __init__(self, models: list[LoadedModel], others: RequestMetrics) -> None:
        self._models = models
        self._others = others

    def describe(self) -> list[Metric]:
        """Return nothing: the registry has one collector, so no name can occur twice."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield one family for each name, with the samples of all models."""
        families: dict[str, Metric] = {}
        collected = [("", metric) for metric in self._others.registry.collect()]
        for model in self._models:
            gauges.refresh(model.lifecycle)
            collected += [(model.name, metric) for metric in model.lifecycle.metrics.registry.collect()]
        for name, metric in collected:
            family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            family.samples += [sample._replace(labels={**sample.labels, "model": name}) for sample in metric.samples]
        yield from families.values()
