"""The files of the page: their headers, what they refer to, and the setting that turns the page off."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from container import cpu
from container.settings import Settings
from model_loader.artifact import open_artifact
from serve.api.app import AnsweringApp, create_app
from serve.lifecycle import Lifecycle
from serve.page.routes import ASSETS_DIR, page_routes
from tools.local_server import LocalServer

FILES = sorted(file for file in ASSETS_DIR.rglob("*") if file.is_file())
MAX_LINES = 250  # CONTRIBUTING.md


def application(demo_dir: Path, settings: Settings) -> AnsweringApp:
    """Create the application. It is not started, so it has no processes."""
    box = cpu.detect("DEFAULT")
    return create_app(Lifecycle(settings, open_artifact(demo_dir, ("FP32",), box), box))


def get(app: AnsweringApp, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
            return await client.get(path)

    return asyncio.run(send())


@pytest.mark.parametrize("path", [route.path for route in page_routes()])
def test_every_file_has_strict_headers_and_is_sent_again_only_if_it_has_changed(
    client: httpx.Client, path: str
) -> None:
    response = client.get(path)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-cache"
    etag = response.headers["etag"]
    for known in (etag, f'"other", W/{etag}'):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get(path, headers={"If-None-Match": '"other"'}).content == response.content


def test_a_browser_gets_the_page_at_the_root(client: httpx.Client) -> None:
    response = client.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.content == (ASSETS_DIR / "index.html").read_bytes()
    assert client.get("/page/index.html").status_code == 404


def references() -> Iterator[tuple[Path, Path]]:
    """(file, what it loads) for each script, style and image of the page."""
    index = ASSETS_DIR / "index.html"
    for reference in re.findall(r'(?:src|href)="page/([^"]+)"', index.read_text()):
        yield index, ASSETS_DIR / reference
    for script in ASSETS_DIR.rglob("*.js"):
        for reference in re.findall(r'^import .* from "([^"]+)";$', script.read_text(), re.MULTILINE):
            yield script, (script.parent / reference).resolve()


def test_every_file_is_loaded_and_every_file_that_is_loaded_exists() -> None:
    assert {loaded for _, loaded in references()} | {ASSETS_DIR / "index.html"} == set(FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ASSETS_DIR)))
def test_a_file_names_no_other_host_and_never_writes_html(file: Path) -> None:
    text = file.read_text()
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []  # the namespace of SVG is only a name
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text) == []
    assert re.findall(r"\sstyle=|\son\w+=|<style|<script(?! type=\"module\" src=)", text) == []
    assert len(text.splitlines()) <= MAX_LINES


def test_the_files_of_the_page_are_not_a_part_of_the_api(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/"]) == {"get", "post"}  # the page, and questions that clients send to a base URL
    assert not {path for path in paths if "page" in path}


@pytest.mark.parametrize(
    ("path", "status", "error_type"), [("/", 405, "method_not_allowed"), ("/page/page.js", 404, "not_found")]
)
def test_without_the_page_its_paths_are_refused(demo_dir: Path, path: str, status: int, error_type: str) -> None:
    assert get(application(demo_dir, Settings(page=True)), path).status_code == 200
    response = get(application(demo_dir, Settings(page=False)), path)  # POST / answers questions
    assert (response.status_code, response.json()["error_type"]) == (status, error_type)


def test_info_has_the_limits_that_the_page_names(server: LocalServer) -> None:
    assert server.info()["limits"] == {"max_payload_mb": 25, "max_characters": 25 * 2**20}


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css"])
def test_without_the_documentation_no_path_leads_to_it(demo_dir: Path, path: str) -> None:
    assert get(application(demo_dir, Settings(docs=True)), path).status_code == 200
    without = application(demo_dir, Settings(docs=False))
    response = get(without, path)
    assert response.status_code == 404
    assert "/docs" not in response.text
    assert "/docs" not in get(without, "/invocations").text  # 405
    page = get(without, "/").text
    assert "Model and machine" in page
    assert "docs" not in page
