"""A real browser with the page of a real server. Every test ends with a check of the console and of the addresses."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.page.browser import CHROMIUM, opened, running_browser
from tools.local_server import LocalServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session", autouse=True)  # before the server is started
def _has_a_browser() -> None:
    """Skip every test of the page where it has no browser."""
    pytest.importorskip("playwright", reason="playwright is missing; `make setup` installs it")
    if CHROMIUM is None:
        pytest.skip("Chromium is missing; `apt-get install chromium` installs it")


@pytest.fixture(scope="module")  # Playwright's event loop would disturb tests of other modules
def browser() -> Iterator["Browser"]:
    """Run Chromium."""
    with running_browser() as running:
        yield running


@pytest.fixture
def problems() -> list[str]:
    """Collect errors in the console and requests to other hosts. A test that provokes some of them clears the list."""
    return []


@pytest.fixture
def open_page(browser: "Browser", server: LocalServer, problems: list[str]) -> Iterator[Callable[..., "Page"]]:
    """Return a function that opens the page with the options of a browser context."""
    contexts = []

    def open_with(**options: Any) -> "Page":
        context = opened(browser, server.url, problems, **options)
        contexts.append(context)
        return context.__enter__()

    yield open_with
    for context in contexts:
        context.__exit__(None, None, None)
    assert problems == []


@pytest.fixture
def page(open_page: Callable[..., "Page"]) -> "Page":
    """Open the page on a wide screen."""
    return open_page()
