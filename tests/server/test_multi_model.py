"""A multi-model endpoint loads and unloads models through SageMaker's /models API, and serves several at once."""

import concurrent.futures
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from serve.api.error_response import ERROR_STATUS
from tests.artifacts import model_file
from tests.engines import needs_torch
from tests.server.questions import ANSWER, BODY, long_body
from tests.server.server_process import PATIENT, child_pids, has_ended, queued_windows
from tests.waiting import wait_until
from tools.local_server import LocalServer

LONG_BODY = long_body(6000)


@pytest.fixture(scope="module")
def endpoint(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a multi-model endpoint, and load one model under the name `first`."""
    folder = tmp_path_factory.mktemp("endpoint")
    with LocalServer(folder / "nothing", {**PATIENT, "SAGEMAKER_MULTI_MODEL": "true"}, folder / "log") as server:
        with httpx.Client(base_url=server.url, timeout=120) as client:
            assert client.get("/models").json() == {"models": []}
            assert load(client, "first", demo_dir).status_code == 200
        yield server


@pytest.fixture
def client(endpoint: LocalServer) -> Iterator[httpx.Client]:
    """Connect to the endpoint. After the test, every model but `first` is unloaded."""
    with httpx.Client(base_url=endpoint.url, timeout=900) as connected:
        yield connected
        for model in connected.get("/models").json()["models"]:
            if model["modelName"] != "first":
                connected.delete(f"/models/{model['modelName']}")


def load(client: httpx.Client, name: str, directory: Path) -> httpx.Response:
    return client.post("/models", json={"model_name": name, "url": str(directory)})


def invoke(client: httpx.Client, name: str, body: Any = BODY) -> httpx.Response:
    return client.post(f"/models/{name}/invoke", json=body, headers={"X-Amzn-SageMaker-Target-Model": "x.tar.gz"})


def fails(response: httpx.Response, status: int, error_type: str) -> bool:
    """Return whether a response is this error. The body must have the form of an error in any case."""
    assert set(response.json()) == {"error_type", "error", "request_id"}
    return (response.status_code, response.json()["error_type"]) == (status, error_type)


def no_process_is_left(server: LocalServer, before: set[int]) -> None:
    """Wait until every process that has started since has ended; a text process may outlive its response a little."""
    wait_until("no new process is left", lambda: child_pids(server) <= before)


def test_a_loaded_model_is_listed_and_answers_until_it_is_unloaded(client: httpx.Client, demo_dir: Path) -> None:
    entry = {"modelName": "second", "modelUrl": str(demo_dir)}
    assert load(client, "second", demo_dir).status_code == 200
    assert client.get("/models/second").json() == entry
    assert entry in client.get("/models").json()["models"]
    assert invoke(client, "second").json()["answer"] == ANSWER
    assert client.delete("/models/second").status_code == 200
    assert fails(client.get("/models/second"), 404, "model_not_loaded")
    assert fails(invoke(client, "second"), 404, "model_not_loaded")
    assert fails(client.delete("/models/second"), 404, "model_not_loaded")
    assert invoke(client, "first").status_code == 200


def test_a_model_ranks_over_several_passages(client: httpx.Client) -> None:
    body = {"question": BODY["question"], "contexts": ["It rained.", BODY["context"]]}
    for padding in ("", "x" * 40_000):  # here, and in a text process
        found = invoke(client, "first", {**body, "padding": padding}).json()
        assert (found["answer"], found["context_index"]) == (ANSWER, 1)


def test_a_model_highlights_sentences(client: httpx.Client) -> None:
    body = {**BODY, "parameters": {"task": "highlight"}}
    for padding in ("", "x" * 40_000):  # here, and in a text process
        (highlight,) = invoke(client, "first", {**body, "padding": padding}).json()["highlights"]
        assert highlight["text"] == BODY["context"]


def test_a_model_whose_name_is_taken_is_not_loaded(client: httpx.Client, demo_dir: Path) -> None:
    assert fails(load(client, "first", demo_dir), 409, "model_already_loaded")
    assert invoke(client, "first").status_code == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"model_name": "x", "modelUrl": "/x"}, "did you mean url? The fields are model_name and url"),
        ({"modelName": "x", "url": "/x"}, "did you mean model_name?"),
        ({"model_name": "x", "directory": "/x"}, "not known; the fields are model_name and url"),
    ],
)
def test_a_field_that_is_not_known_is_refused_with_the_right_name(
    client: httpx.Client, body: dict[str, str], words: str
) -> None:
    response = client.post("/models", json=body)
    assert fails(response, 422, "invalid_request")
    assert words in response.json()["error"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonlines", "application/x-www-form-urlencoded"])
def test_a_load_with_another_media_type_than_json_is_refused(
    client: httpx.Client, demo_dir: Path, content_type: str
) -> None:
    body = f'{{"model_name": "other", "url": "{demo_dir}"}}'.encode()
    response = client.post("/models", content=body, headers={"content-type": content_type})
    assert fails(response, 415, "unsupported_media_type")
    assert "application/json" in response.json()["error"]
    assert client.post("/models", content=body).status_code == 200  # without a header, the body is JSON


def test_a_url_without_a_model_gets_404(client: httpx.Client, tmp_path: Path) -> None:
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
def test_a_bad_request_to_load_a_model_gets_its_error(
    client: httpx.Client, content: bytes, status: int, error_type: str
) -> None:
    assert fails(client.post("/models", content=content), status, error_type)


@pytest.mark.parametrize("damage", ["a hash is wrong", "no tokenizer", "torch cannot load it"])
def test_a_broken_model_leaves_no_process_behind(
    client: httpx.Client, endpoint: LocalServer, demo_dir: Path, tmp_path: Path, damage: str
) -> None:
    broken = shutil.copytree(demo_dir, tmp_path / "broken")
    if damage == "no tokenizer":
        (broken / "tokenizer.json").unlink()
    else:
        model_file(broken).write_bytes(b"no model" * 1000)
    if damage == "torch cannot load it":
        needs_torch()
        (broken / "manifest.json").unlink()  # the AWS sample's layout has no hashes
        (broken / "model_fp32.pt").unlink()
    before = child_pids(endpoint)
    response = load(client, "broken", broken)
    assert fails(response, 400, "model_unusable"), response.text
    no_process_is_left(endpoint, before)
    assert [model["modelName"] for model in client.get("/models").json()["models"]] == ["first"]


def test_a_model_that_does_not_fit_into_memory_is_refused_before_it_is_loaded(
    client: httpx.Client, endpoint: LocalServer, demo_dir: Path, tmp_path: Path
) -> None:
    huge = tmp_path / "huge"
    huge.mkdir()
    shutil.copy(demo_dir / "tokenizer.json", huge)
    with (huge / "model_fp32.pt").open("wb") as file:
        file.truncate(10**12)  # a sparse file, which takes no space on the disk
    before = child_pids(endpoint)
    assert fails(load(client, "huge", huge), 507, "not_enough_memory")
    no_process_is_left(endpoint, before)
    assert invoke(client, "first").status_code == 200


def test_a_load_whose_process_is_killed_gets_507(demo_dir: Path, tmp_path: Path) -> None:
    environment = {"SAGEMAKER_MULTI_MODEL": "true", "PRECISIONS": "INT8"}
    with (
        LocalServer(tmp_path, environment, tmp_path / "log") as server,
        httpx.Client(base_url=server.url, timeout=120) as client,
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        before = child_pids(server)
        loading = threads.submit(load, client, "killed", demo_dir)
        wait_until("the model loads in a new process", lambda: bool(child_pids(server) - before))
        zygote = min(child_pids(server) - before)  # its lanes, if there are some already, have started after it
        psutil.Process(zygote).kill()
        assert fails(loading.result(), 507, "not_enough_memory")
        no_process_is_left(server, before)
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
        assert asking.result() > 2
    assert statuses == {200}


def test_a_book_for_one_model_does_not_hold_up_another(
    client: httpx.Client, endpoint: LocalServer, demo_dir: Path
) -> None:
    assert load(client, "second", demo_dir).status_code == 200
    with concurrent.futures.ThreadPoolExecutor() as threads:
        book = threads.submit(invoke, client, "first", LONG_BODY)
        wait_until("the book waits in the queue", lambda: queued_windows(endpoint, "first") > 100)
        assert invoke(client, "second").status_code == 200
        assert not book.done()
        assert book.result().json()["answer"] == ANSWER


def test_unloading_a_model_answers_its_accepted_requests_and_ends_its_processes(
    client: httpx.Client, endpoint: LocalServer, demo_dir: Path
) -> None:
    before = child_pids(endpoint)
    assert load(client, "second", demo_dir).status_code == 200
    pids = child_pids(endpoint) - before
    with concurrent.futures.ThreadPoolExecutor() as threads:
        book = threads.submit(invoke, client, "second", LONG_BODY)
        wait_until("the book waits in the queue", lambda: queued_windows(endpoint, "second") > 100)
        assert client.delete("/models/second").status_code == 200
        wait_until("its processes have ended", lambda: all(map(has_ended, pids)))
        no_process_is_left(endpoint, before)
        assert book.result().json()["answer"] == ANSWER


def test_metrics_and_info_distinguish_the_models(client: httpx.Client, demo_dir: Path) -> None:
    assert load(client, "second", demo_dir).status_code == 200
    invoke(client, "second")
    text = client.get("/metrics").text
    assert re.search(r'^bertqa_requests_total{.*model="second".*status="200"} 1.0$', text, re.MULTILINE), text
    assert text.count("# TYPE bertqa_ready gauge") == 1
    assert set(re.findall(r'^bertqa_ready{model="(.*)"} 1.0$', text, re.MULTILINE)) == {"first", "second"}
    assert set(client.get("/info").json()["models"]) == {"first", "second"}


def test_the_openapi_description_has_the_models_api(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    assert {"/models", "/models/{model_name}", "/models/{model_name}/invoke", "/ping"} <= set(described["paths"])
    assert "LoadRequest" in described["components"]["schemas"]
    paths = described["paths"]
    shown = {*paths["/models"]["post"]["responses"], *paths["/models/{model_name}/invoke"]["post"]["responses"]}
    assert shown == {"200", *map(str, ERROR_STATUS.values())} - {"401", "405"}  # with keys only, and of no operation


def test_sigterm_while_a_model_loads_ends_all_processes(demo_dir: Path, tmp_path: Path) -> None:
    with (
        LocalServer(tmp_path, {"SAGEMAKER_MULTI_MODEL": "true"}, tmp_path / "log") as server,
        httpx.Client(base_url=server.url, timeout=120) as client,
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        assert client.get("/ping").status_code == 200
        assert load(client, "first", demo_dir).status_code == 200
        before = child_pids(server)
        loading = threads.submit(load, client, "second", demo_dir)
        wait_until("the model loads in a new process", lambda: len(child_pids(server)) > len(before))
        everything = child_pids(server)
        assert server.stop() == 0
        assert fails(loading.result(), 503, "not_ready")
        wait_until("every process has ended", lambda: all(map(has_ended, everything)))
