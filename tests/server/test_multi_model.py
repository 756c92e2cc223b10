"""A multi-model endpoint as a process: SageMaker's /models API, models beside each other, memory given back."""

import concurrent.futures
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from serve.api.error_response import ERROR_STATUS
from serve.multi_model.info import PAGE_MODELS, page
from tools.local_server import LocalServer

BODY = {"question": "Who built the lighthouse?", "context": "The lighthouse was built in 1871 by Zoë Müller."}
LONG_BODY = {**BODY, "context": "It rained all day in the harbour. " * 6000 + BODY["context"]}


@pytest.fixture(scope="module")
def endpoint(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A multi-model endpoint with one model, `first`."""
    folder = tmp_path_factory.mktemp("endpoint")
    with LocalServer(folder / "nothing", {"SAGEMAKER_MULTI_MODEL": "true"}, folder / "log") as server:
        with httpx.Client(base_url=server.url, timeout=120) as client:
            assert client.get("/models").json() == {"models": []}
            assert load(client, "first", demo_dir).status_code == 200
        yield server


@pytest.fixture
def client(endpoint: LocalServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=endpoint.url, timeout=120) as connected:
        yield connected
        for model in connected.get("/models").json()["models"]:
            if model["modelName"] != "first":
                connected.delete(f"/models/{model['modelName']}")


def load(client: httpx.Client, name: str, directory: Path) -> httpx.Response:
    return client.post("/models", json={"model_name": name, "url": str(directory)})


def invoke(client: httpx.Client, name: str, body: Any = BODY) -> httpx.Response:
    return client.post(f"/models/{name}/invoke", json=body, headers={"X-Amzn-SageMaker-Target-Model": "x.tar.gz"})


def fails(response: httpx.Response, status: int, error_type: str) -> bool:
    assert set(response.json()) == {"error_type", "error", "request_id"}
    return (response.status_code, response.json()["error_type"]) == (status, error_type)


def processes(server: LocalServer) -> set[int]:
    living = psutil.Process(server.process.pid).children(recursive=True)
    return {process.pid for process in living if process.status() != psutil.STATUS_ZOMBIE}


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def waiting(client: httpx.Client, name: str) -> float:
    pattern = rf'^bertqa_queue_windows{{model="{name}"}} (.*)$'
    return float(re.findall(pattern, client.get("/metrics").text, re.MULTILINE)[0])


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_model_is_shown_answers_and_goes(client: httpx.Client, demo_dir: Path) -> None:
    entry = {"modelName": "second", "modelUrl": str(demo_dir)}
    assert load(client, "second", demo_dir).status_code == 200
    assert client.get("/models/second").json() == entry
    assert entry in client.get("/models").json()["models"]
    assert invoke(client, "second").json()["answer"] == "Zoë Müller"
    assert client.delete("/models/second").status_code == 200
    assert fails(client.get("/models/second"), 404, "model_not_loaded")
    assert fails(invoke(client, "second"), 404, "model_not_loaded")
    assert fails(client.delete("/models/second"), 404, "model_not_loaded")
    assert invoke(client, "first").status_code == 200


def test_a_model_that_is_loaded_is_not_loaded_again(client: httpx.Client, demo_dir: Path) -> None:
    assert fails(load(client, "first", demo_dir), 409, "model_already_loaded")
    assert invoke(client, "first").status_code == 200


def test_a_url_where_nothing_is(client: httpx.Client, tmp_path: Path) -> None:
    assert fails(load(client, "nothing", tmp_path / "nothing"), 404, "model_not_found")


@pytest.mark.parametrize(
    ("content", "status", "error_type"),
    [
        (b"{", 400, "malformed_body"),
        (b"[]", 422, "invalid_request"),
        (b'{"model_name": "a"}', 422, "invalid_request"),
        (b'{"model_name": "a/b", "url": "/x"}', 422, "invalid_request"),
        (b'{"model_name": "", "url": "/x"}', 422, "invalid_request"),
    ],
)
def test_a_bad_order_to_load(client: httpx.Client, content: bytes, status: int, error_type: str) -> None:
    assert fails(client.post("/models", content=content), status, error_type)


@pytest.mark.parametrize("damage", ["a hash is wrong", "no tokenizer", "torch cannot load it"])
def test_a_broken_model_leaves_nothing_behind(
    client: httpx.Client, endpoint: LocalServer, demo_dir: Path, tmp_path: Path, damage: str
) -> None:
    broken = shutil.copytree(demo_dir, tmp_path / "broken")
    if damage == "no tokenizer":
        (broken / "tokenizer.json").unlink()
    else:
        (broken / "model_int8.pt").write_bytes(b"no model" * 1000)
    if damage == "torch cannot load it":
        (broken / "manifest.json").unlink()  # the AWS sample's layout has no hashes
        (broken / "model_fp32.pt").unlink()
    before = processes(endpoint)
    response = load(client, "broken", broken)
    assert fails(response, 400, "model_unusable"), response.text
    assert processes(endpoint) == before
    assert [model["modelName"] for model in client.get("/models").json()["models"]] == ["first"]


def test_a_model_that_does_not_fit_is_refused_before_it_harms(
    client: httpx.Client, endpoint: LocalServer, demo_dir: Path, tmp_path: Path
) -> None:
    huge = tmp_path / "huge"
    huge.mkdir()
    shutil.copy(demo_dir / "tokenizer.json", huge)
    with (huge / "model_fp32.pt").open("wb") as file:
        file.truncate(10**12)  # a hole: it takes no room on the disk
    before = processes(endpoint)
    assert fails(load(client, "huge", huge), 507, "not_enough_memory")
    assert processes(endpoint) == before
    assert invoke(client, "first").status_code == 200


def test_a_load_that_the_system_kills_says_that_memory_ran_out(demo_dir: Path, tmp_path: Path) -> None:
    environment = {"SAGEMAKER_MULTI_MODEL": "true", "PRECISIONS": "INT8"}
    with (
        LocalServer(tmp_path, environment, tmp_path / "log") as server,
        httpx.Client(base_url=server.url, timeout=120) as client,
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        before = processes(server)
        loading = threads.submit(load, client, "killed", demo_dir)
        wait_until(lambda: len(processes(server)) > len(before))
        (zygote,) = processes(server) - before
        psutil.Process(zygote).kill()
        assert fails(loading.result(), 507, "not_enough_memory")
        assert processes(server) == before
        assert load(client, "killed", demo_dir).status_code == 200


def test_models_answer_while_others_load_and_unload(
    client: httpx.Client, endpoint: LocalServer, demo_dir: Path
) -> None:
    done, statuses = threading.Event(), set[int]()

    def keep_asking() -> int:
        count = 0
        while not done.is_set():
            statuses.add(httpx.post(f"{endpoint.url}/models/first/invoke", json=BODY, timeout=60).status_code)
            count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor() as threads:
        asking = threads.submit(keep_asking)
        try:
            for name in ("second", "third"):
                assert load(client, name, demo_dir).status_code == 200
            for name in ("second", "third"):
                assert client.delete(f"/models/{name}").status_code == 200
        finally:
            done.set()
        assert asking.result() > 10
    assert statuses == {200}


def test_a_book_for_one_model_does_not_hold_up_another(client: httpx.Client, demo_dir: Path) -> None:
    assert load(client, "second", demo_dir).status_code == 200
    with concurrent.futures.ThreadPoolExecutor() as threads:
        book = threads.submit(invoke, client, "first", LONG_BODY)
        wait_until(lambda: waiting(client, "first") > 100)
        assert invoke(client, "second").status_code == 200
        assert not book.done()
        assert book.result().json()["answer"] == "Zoë Müller"


def test_an_unload_answers_what_was_accepted_and_gives_everything_back(
    client: httpx.Client, endpoint: LocalServer, demo_dir: Path
) -> None:
    before = processes(endpoint)
    assert load(client, "second", demo_dir).status_code == 200
    its_own = processes(endpoint) - before
    with concurrent.futures.ThreadPoolExecutor() as threads:
        book = threads.submit(invoke, client, "second", LONG_BODY)
        wait_until(lambda: waiting(client, "second") > 100)
        assert client.delete("/models/second").status_code == 200
        assert all(has_ended(pid) for pid in its_own | processes(endpoint) - before)
        assert book.result().json()["answer"] == "Zoë Müller"


def test_metrics_and_info_tell_the_models_apart(client: httpx.Client, demo_dir: Path) -> None:
    assert load(client, "second", demo_dir).status_code == 200
    invoke(client, "second")
    text = client.get("/metrics").text
    assert re.search(r'^bertqa_requests_total{.*model="second".*status="200"} 1.0$', text, re.MULTILINE), text
    assert text.count("# TYPE bertqa_ready gauge") == 1
    assert set(re.findall(r'^bertqa_ready{model="(.*)"} 1.0$', text, re.MULTILINE)) == {"first", "second"}
    assert set(client.get("/info").json()["models"]) == {"first", "second"}


def test_a_list_longer_than_a_page_comes_in_pages() -> None:
    models = [(f"{number:04}", "/opt/ml/models/x/model") for number in range(2 * PAGE_MODELS + 1)]
    seen: list[Any] = []
    body = page(models, "")
    while "nextPageToken" in body:
        seen.append(body["models"])
        body = page(models, str(body["nextPageToken"]))
    seen.append(body["models"])
    assert [len(part) for part in seen] == [PAGE_MODELS, PAGE_MODELS, 1]
    assert [model["modelName"] for part in seen for model in part] == [name for name, _ in models]


def test_docs_describe_the_api(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    assert {"/models", "/models/{model_name}", "/models/{model_name}/invoke", "/ping"} <= set(described["paths"])
    assert "LoadRequest" in described["components"]["schemas"]
    paths = described["paths"]
    shown = {*paths["/models"]["post"]["responses"], *paths["/models/{model_name}/invoke"]["post"]["responses"]}
    assert shown == {"200", *map(str, ERROR_STATUS.values())}


def test_sigterm_while_a_model_loads_ends_at_once_and_leaves_no_process(demo_dir: Path, tmp_path: Path) -> None:
    with (
        LocalServer(tmp_path, {"SAGEMAKER_MULTI_MODEL": "true"}, tmp_path / "log") as server,
        httpx.Client(base_url=server.url, timeout=120) as client,
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        assert client.get("/ping").status_code == 200
        assert load(client, "first", demo_dir).status_code == 200
        before = processes(server)
        loading = threads.submit(load, client, "second", demo_dir)
        wait_until(lambda: len(processes(server)) > len(before))
        everything = processes(server)
        assert server.stop() == 0
        assert fails(loading.result(), 503, "not_ready")
        assert all(has_ended(pid) for pid in everything)
