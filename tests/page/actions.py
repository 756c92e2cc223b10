"""What a person does on the page."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def write(page: "Page", text: str) -> None:
    """Put a text into the text area, in place of the one that is there."""
    if page.get_by_role("button", name="Edit").is_visible():
        page.get_by_role("button", name="Edit").click()
    page.locator("#text").fill(text)


def paste(page: "Page", text: str) -> None:
    """Paste a text into the empty text area."""
    page.locator("#text").focus()
    page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            const paste = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
            // A browser inserts only what a person pastes, so a script does it here.
            if (document.activeElement.dispatchEvent(paste)) document.execCommand("insertText", false, text);
        }""",
        text,
    )


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
