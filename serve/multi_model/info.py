"""What a multi-model endpoint reports: pages of /models, /info, and metrics with a label for the model."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from container import contract
from serve.api.info import info as model_info
from serve.api.telemetry import gauges
from serve.metrics import exposition
from serve.multi_model.registry import ModelRegistry
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


async def metrics(models: ModelRegistry, accept: str) -> tuple[bytes, str]:
    """Return the metrics of all models and their media type, each metric with the label `model`.

    The label is empty for requests that belong to no model, such as those with an unknown path, and for the server.
    A thread writes the text, because that of 20 models takes 70 ms.
    """
    gauges.refresh_server(models.metrics, models.usage)
    of_models: dict[str, RequestMetrics] = {"": models.metrics}
    for model in models:
        gauges.refresh(model.lifecycle)
        of_models[model.name] = model.lifecycle.metrics
        await asyncio.sleep(0)
    return await asyncio.to_thread(_exposition, of_models, accept)


def _exposition(of_models: Mapping[str, RequestMetrics], accept: str) -> tuple[bytes, str]:
    registry = CollectorRegistry()
    registry.register(WithModelLabel(of_models))
    return exposition(registry, accept)


class WithModelLabel(Collector):
    """The metrics of several models as one collector, each sample with the name of its model as label."""

    def __init__(self, of_models: Mapping[str, RequestMetrics]) -> None:
        self._of_models = of_models

    def describe(self) -> list[Metric]:
        """Return nothing: the registry has one collector, so no name can occur twice."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield one family for each name, with the samples of all models."""
        families: dict[str, Metric] = {}
        for model, metrics in self._of_models.items():
            for metric in metrics.registry.collect():
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                family.samples += [each._replace(labels={**each.labels, "model": model}) for each in metric.samples]
        yield from families.values()
