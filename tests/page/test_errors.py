"""What the page says when something is missing, wrong or not there."""

from typing import TYPE_CHECKING

import httpx

from tests.page.actions import ask, best, wait, write
from tests.server.questions import ANSWER, CONTEXT, LONG_TEXT, QUESTION
from tools.local_server import LocalServer

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_missing_text_and_a_missing_question_are_named_and_get_the_focus(page: "Page") -> None:
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("There is no text yet.").wait_for()
    assert page.evaluate("document.activeElement.id") == "text"
    write(page, CONTEXT)
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("There is no question yet.").wait_for()
    assert page.evaluate("document.activeElement.id") == "question"
    assert page.locator("#question").get_attribute("aria-invalid") == "true"
    assert page.locator(".card").count() == 0


def test_a_question_that_the_server_refuses_is_explained_and_the_next_one_is_answered(
    page: "Page", problems: list[str]
) -> None:
    write(page, CONTEXT)
    card = ask(page, "why " * 100)
    text = card.text_content() or ""
    assert "The server cannot use this question or this text." in text
    assert "max_question_len" in text
    assert "Not asked." in text
    assert [each for each in problems if "422" not in each] == []
    problems.clear()  # the browser itself writes each failed request to the console
    ask(page, QUESTION)
    assert best(page) == ANSWER


ERRORS = [
    (429, "overloaded", {"Retry-After": "3"}, "The server has too much to do at the moment. Ask again in 3 seconds."),
    (413, "payload_too_large", {}, "The text is larger than this server accepts."),
    (422, "document_too_long", {}, "Ask about a part of the text."),
    (500, "inference_failed", {}, "(request id id-1)"),
    (503, "not_ready", {}, "Wait a moment, and ask again."),
    (504, "deadline_exceeded", {}, "The answer was not ready in time."),
    (418, "of_another_version", {}, "The server refused the request with status 418."),
]


def test_errors_of_the_server_are_explained_in_words(page: "Page", problems: list[str]) -> None:
    responses = []
    for status, error_type, headers, _ in ERRORS:
        body = {"error_type": error_type, "error": "<b>details</b>", "request_id": "id-1"}
        responses.append({"status": status, "json": body, "headers": headers})
    page.route("**/invocations", lambda route: route.fulfill(**responses.pop(0)))
    write(page, CONTEXT)
    for _, _, _, expected in ERRORS:
        text = ask(page, QUESTION).text_content() or ""
        assert expected in text
        assert "<b>details</b>" in text
    problems.clear()


def test_a_page_of_a_proxy_in_the_place_of_an_answer_is_explained(page: "Page", problems: list[str]) -> None:
    page.route("**/invocations", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    write(page, CONTEXT)
    assert "The server refused the request with status 502." in (ask(page, QUESTION).text_content() or "")
    problems.clear()


def test_a_server_that_cannot_be_reached_is_explained(page: "Page", problems: list[str]) -> None:
    write(page, CONTEXT)
    page.context.set_offline(True)
    assert "The server cannot be reached." in (ask(page, QUESTION).text_content() or "")
    page.context.set_offline(False)
    problems.clear()
    ask(page, QUESTION)
    assert best(page) == ANSWER


def test_a_question_can_be_stopped(page: "Page", problems: list[str], server: LocalServer) -> None:
    write(page, LONG_TEXT * 20)
    page.get_by_label("Ask a question about the text").fill(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_text("Asking the model").wait_for()
    page.get_by_role("button", name="Stop").click()
    wait(page)
    assert "You stopped this question." in (page.locator(".card").text_content() or "")
    assert httpx.get(f"{server.url}/ping").status_code == 200
    problems.clear()


def test_a_text_beyond_the_limit_of_characters_is_refused_before_it_is_sent(page: "Page") -> None:
    limits = httpx.get(f"{page.url}info").json()
    limits["limits"]["max_characters"] = 20
    page.route("**/info", lambda route: route.fulfill(json=limits))
    page.reload()
    page.get_by_text("demo in INT8").wait_for()
    write(page, CONTEXT)
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("This server accepts 20.").wait_for()
