"""What a person does on the page."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def write(page: "Page", text: str) -> None:
    """Put a text into the text area, in place of the one that is there."""
    if page.get_by_role("button", name="Edit").is_visible():
        page.get_by_role("button", name="Edit").click()
    page.locator("#text").fill(text)


def ask(page: "Page", question: str) -> "Locator":
    """Ask a question with the keyboard, wait for all answers, and return the question's card."""
    page.get_by_label("Ask a question about the text").fill(question)
    page.keyboard.press("Enter")
    wait(page)
    return page.locator(".card").first


def wait(page: "Page") -> None:
    """Wait until nothing is being asked."""
    page.locator("#stop").wait_for(state="hidden")


def best(page: "Page") -> str:
    """Return what is highlighted as the best answer."""
    return "".join(page.locator("mark.is-best").all_text_contents())
