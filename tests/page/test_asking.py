"""Ask in a real browser: answers, highlighting, offsets, several questions, files, and the command to copy."""

import json
import re
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.page.actions import ask, best, paste, wait, write
from tests.server.questions import ANSWER, CONTEXT, QUESTION
from tools.local_server import LocalServer

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_pasted_text_is_asked_and_the_answer_is_highlighted_with_its_score(page: "Page") -> None:
    paste(page, CONTEXT)
    assert page.locator("#text").input_value() == CONTEXT
    card = ask(page, QUESTION)
    assert best(page) == ANSWER
    assert page.locator("#reading").text_content() == CONTEXT
    tiles = card.locator(".tiles li")
    assert tiles.locator("h4").all_text_contents() == ["INT8", "FP32"]
    assert tiles.locator(".answer").all_text_contents() == [ANSWER, ANSWER]
    for tile in tiles.all():
        assert "%" in (tile.locator(".score").text_content() or "")
        assert (tile.locator(".time").text_content() or "").partition("\u202f")[2].startswith("ms")
    assert ANSWER in (page.get_by_role("status").first.text_content() or "")


ARTICLE = {
    "Which name is also used to describe the Amazon rainforest in English?": "Amazonia",
    "How many square kilometers of rainforest is covered in the basin?": "5,500,000",
}


def test_every_question_of_the_examples_gets_an_answer_and_the_articles_get_the_right_one(page: "Page") -> None:
    answers = {}
    for example in page.locator("#examples button").all():
        example.click()
        for question in page.locator("#suggestions button").all():
            question.click()
            wait(page)
            answers[question.text_content()] = best(page)
    assert len(answers) == 9
    assert all(answers.values())
    assert all((answers[question] or "").startswith(answer) for question, answer in ARTICLE.items())


def test_offsets_count_code_points(page: "Page") -> None:
    for before in ("🌊🌊 ", "e\u0301\u0301 漢字 𝒳 ", "👩‍👩‍👧 \U0010ffff\n\n", "שלום עולם. ", "مرحبا 🌍\n"):
        write(page, f"{before}{CONTEXT} 🏁")
        ask(page, QUESTION)
        assert best(page) == ANSWER
        assert page.locator("#reading").text_content() == f"{before}{CONTEXT} 🏁"


def test_right_to_left_paragraphs_have_their_own_direction(page: "Page") -> None:
    write(page, f"שלום עולם\n{CONTEXT}")
    ask(page, QUESTION)
    lefts = page.evaluate("""() => {
        const text = document.querySelector(".block").firstChild;
        const range = document.createRange();
        range.setStart(text, 0); range.setEnd(text, 4);
        return [range.getBoundingClientRect().left, document.querySelector(".block").getBoundingClientRect().left];
    }""")
    assert lefts[0] > lefts[1] + 100  # the Hebrew line begins at the right
    assert best(page) == ANSWER


def test_a_text_is_shown_as_text_even_if_it_looks_like_html(page: "Page") -> None:
    text = f"<img src=x onerror=alert(1)><script>alert(1)</script> {CONTEXT}"
    write(page, text)
    ask(page, "<b>Who</b> built the lighthouse?")
    assert page.locator("#reading").text_content() == text
    assert page.locator("#reading img, #reading script, .card b").count() == 0


def test_further_answers_are_emphasized_on_hover_and_on_focus(page: "Page") -> None:
    write(page, CONTEXT)
    card = ask(page, QUESTION)
    further = card.locator(".further .answer")
    assert further.count() == 4
    for emphasize in (further.first.hover, further.nth(1).focus):
        emphasize()
        active = "".join(page.locator("mark.is-active").all_text_contents())
        assert active in [further.first.text_content(), further.nth(1).text_content()]
    page.locator("mark").first.hover()
    assert "score" in (page.locator("#tip").text_content() or "")
    page.mouse.move(5, 5)
    assert page.locator("mark.is-active").count() == 0


def test_the_tip_stands_beside_a_pointer_that_has_not_moved_since_the_answer_appeared(page: "Page") -> None:
    write(page, CONTEXT)
    ask(page, QUESTION)
    box = page.locator("mark.is-best").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    write(page, f"{CONTEXT} It rained.")
    page.mouse.move(x, y)  # the text area is here now, and the same mark after the next question
    ask(page, QUESTION)
    tip = page.locator("#tip")
    tip.wait_for()
    shown = tip.bounding_box()
    assert shown
    assert 0 < shown["x"] - x < 30
    assert 0 < shown["y"] - y < 30


def test_answers_below_one_percent_are_painted_only_while_the_list_points_at_them(page: "Page") -> None:
    write(page, CONTEXT)
    card = ask(page, QUESTION)
    further = card.locator(".further li")
    unlikely = [item for item in further.all() if percentage(item.locator("span").text_content()) < 1]
    assert unlikely
    background = "mark => getComputedStyle(mark).backgroundColor"
    sentence = page.locator("mark.is-sentence").first.evaluate(background)
    for item in unlikely:
        text = item.locator(".answer").text_content()
        item.locator(".answer").focus()
        active = page.locator("mark.is-active")
        assert "".join(active.all_text_contents()) == text
        emphasized = {mark.evaluate(background) for mark in active.all()}
        item.locator(".answer").blur()
        assert page.locator("mark.is-active").count() == 0
        assert emphasized.isdisjoint({sentence, "rgba(0, 0, 0, 0)"})
    for mark in page.locator("mark.is-further").all():
        mark.hover()
        assert percentage(page.locator("#tip").text_content()) >= 1
    for mark in page.locator("mark.is-unlikely").all():
        assert mark.evaluate(background) == "rgba(0, 0, 0, 0)"


def percentage(text: str | None) -> float:
    """Return the number before the percent sign."""
    found = re.search(r"(<?)\u202f?([\d.]+)\u202f%", text or "")
    assert found, text
    return 0.0 if found[1] else float(found[2])


def test_the_sentence_is_highlighted_beside_the_answer(page: "Page") -> None:
    write(page, f"🚢 {CONTEXT}")
    card = ask(page, QUESTION)
    sentence = "🚢 " + CONTEXT[: CONTEXT.index(" It stands")]
    assert card.locator(".sentences .answer").all_text_contents() == [sentence]
    assert page.locator("mark.is-sentence").first.is_visible()
    card.locator(".sentences .answer").focus()
    assert "".join(page.locator("mark.is-active").all_text_contents()) == sentence
    write(page, "It rained all day.")
    assert "No sentence was highlighted." in (ask(page, QUESTION).locator(".sentences").text_content() or "")


def test_several_questions_stay_until_the_text_changes(page: "Page") -> None:
    write(page, CONTEXT)
    ask(page, QUESTION)
    ask(page, "When was it built?")
    assert page.locator(".card h3").all_text_contents() == ["When was it built?", QUESTION]
    assert best(page) != ANSWER
    page.locator(".card").nth(1).locator(".answer").first.click()
    assert best(page) == ANSWER
    write(page, "Another text.")
    assert page.locator(".card.is-stale").count() == 2
    assert page.locator(".answer:enabled").count() == 0


def test_the_curl_command_gets_the_same_answer(
    open_page: Callable[..., "Page"], server: LocalServer, problems: list[str]
) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    write(page, f'{CONTEXT} It\'s "safe"! $HOME `id` \\n 🌊\nEnd.')
    card = ask(page, QUESTION)
    card.locator("summary").click()
    card.get_by_role("button", name="Copy the command").click()
    card.get_by_text("Copied.").wait_for()
    command = page.evaluate("navigator.clipboard.readText()")
    assert command.startswith(f"curl -s '{server.url}/invocations'")
    printed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed)["answer"] == ANSWER


def test_a_long_text_is_pasted_for_reading_and_can_be_edited(page: "Page") -> None:
    text = "It rained all day.\n" * 4_000
    paste(page, text)
    assert page.locator("#reading").text_content() == text
    assert page.locator("#text-size").text_content() == "76,000 characters"
    page.get_by_role("button", name="Edit").click()
    assert page.locator("#text").input_value() == text


def test_a_file_is_opened_and_dropped(page: "Page") -> None:
    file = {"name": "a.txt", "mimeType": "text/plain", "buffer": CONTEXT.encode()}
    page.locator("#file").set_input_files(file)
    page.locator("#reading").wait_for()
    assert page.locator("#reading").text_content() == CONTEXT
    page.evaluate("""() => {
        const data = new DataTransfer();
        data.items.add(new File(["Dropped."], "b.txt", {type: "text/plain"}));
        const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
        document.querySelector("#text-pane").dispatchEvent(drop);
    }""")
    page.get_by_text("Dropped.").wait_for()
    file = {"name": "c.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\n\xff\xfe\0"}
    page.locator("#file").set_input_files(file)
    page.get_by_text("is not plain text in UTF-8").wait_for()
