"""Read figures from a server's /metrics."""

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def read_samples(url: str, name: str) -> list[Sample]:
    """Return all samples with this full name, such as `bertqa_window_seconds_sum`, from the server at `url`."""
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").raise_for_status().text)
    return [sample for family in families for sample in family.samples if sample.name == name]
