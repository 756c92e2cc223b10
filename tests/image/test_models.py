"""A multi-model endpoint in the container loads and unloads models, and frees their memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.image.engine import Container

LOADS = 200 if os.environ.get("SOAK") else 20
ITEM = {"question": "Who built the lighthouse?", "context": "Zoë Müller built the lighthouse in 1871."}
URL = "/opt/ml/models/abc/model"


@pytest.fixture
def container(demo_dir: Path) -> Iterator[Container]:
    """Start a multi-model endpoint with 4 GiB of memory."""
    options = ("--read-only", "--tmpfs", "/tmp", "--env", "SAGEMAKER_MULTI_MODEL=true", "--memory", "4g")
    with Container(*options, "--volume", f"{demo_dir}:{URL}:ro") as started:
        started.wait_for_ping()
        yield started


def load(container: Container, name: str, url: str = URL) -> httpx.Response:
    return httpx.post(f"{container.url}/models", json={"model_name": name, "url": url}, timeout=120)


def test_a_model_is_loaded_answers_and_is_unloaded(container: Container) -> None:
    assert httpx.get(f"{container.url}/models").json()["models"] == []
    assert load(container, "first").status_code == 200
    assert load(container, "first").status_code == 409
    assert load(container, "other", "/opt/ml/models/none/model").status_code == 404
    answer = httpx.post(f"{container.url}/models/first/invoke", json=ITEM, timeout=60)
    assert answer.json()["answer"] == "Zoë Müller"
    assert httpx.get(f"{container.url}/models/first").json() == {"modelName": "first", "modelUrl": URL}
    assert httpx.delete(f"{container.url}/models/first", timeout=60).status_code == 200
    assert httpx.post(f"{container.url}/models/first/invoke", json=ITEM).status_code == 404


def test_a_model_that_does_not_fit_gets_507_and_the_others_still_answer(container: Container) -> None:
    statuses = []
    while 507 not in statuses:
        statuses.append(load(container, f"model-{len(statuses)}").status_code)
        assert set(statuses) <= {200, 507}
        assert len(statuses) < 20  # 20 models cannot fit into 4 GiB
    assert statuses[0] == 200
    for number in range(len(statuses) - 1):
        answer = httpx.post(f"{container.url}/models/model-{number}/invoke", json=ITEM, timeout=60)
        assert answer.json()["answer"] == "Zoë Müller"


def test_unloading_a_model_frees_its_memory(container: Container) -> None:
    assert load(container, "stays").status_code == 200
    after = []
    for number in range(LOADS):
        assert load(container, f"goes-{number}").status_code == 200
        answer = httpx.post(f"{container.url}/models/goes-{number}/invoke", json=ITEM, timeout=60)
        assert answer.json()["answer"] == "Zoë Müller"
        assert httpx.delete(f"{container.url}/models/goes-{number}", timeout=60).status_code == 200
        after.append(container.memory_bytes())
    print([round(each / 2**20) for each in after])
    assert after[-1] <= 1.05 * after[9]
