"""What a multi-model endpoint says of its models: pages of /models, /info, and metrics with a label for the model."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from container import contract
from serve.api import info as report
from serve.multi_model.registry import LoadedModel, Models

PAGE_MODELS = 100


def entry(name: str, url: str) -> dict[str, str]:
    """A model as GET /models/{name} shows it."""
    return {"modelName": name, "modelUrl": url}


def page(loaded: Iterable[tuple[str, str]], token: str) -> dict[str, object]:
    """One page of GET /models: names and urls sorted by name, those after the token. The last has no nextPageToken."""
    rest = [(name, url) for name, url in loaded if name > token]
    body: dict[str, object] = {"models": [entry(name, url) for name, url in rest[:PAGE_MODELS]]}
    if len(rest) > PAGE_MODELS:
        body["nextPageToken"] = rest[PAGE_MODELS - 1][0]
    return body


def info(models: Models) -> dict[str, object]:
    """The body of /info."""
    return {
        "state": models.state,
        "version": contract.VERSION,
        "models": {model.name: report.info(model.lifecycle) for model in models},
    }


def exposition(models: Models) -> bytes:
    """The metrics of a single model, each with the label `model`."""
    registry = CollectorRegistry()
    registry.register(_Labelled(list(models)))
    return generate_latest(registry)


class _Labelled(Collector):
    def __init__(self, models: list[LoadedModel]) -> None:
        self._models = models

    def describe(self) -> list[Metric]:
        """Nothing to check for doubles: there is one collector."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family for each name, over all models."""
        families: dict[str, Metric] = {}
        for model in self._models:
            report.refresh_gauges(model.lifecycle)
            for metric in model.lifecycle.metrics.registry.collect():
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                family.samples += [
                    sample._replace(labels={**sample.labels, "model": model.name}) for sample in metric.samples
                ]
        yield from families.values()
