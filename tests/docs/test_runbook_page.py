"""docs/runbook.md against its tests: each entry has a test that produces its symptom."""

import re

from tests.docs import pages

PAGE = pages.DOCS / "runbook.md"
TESTS = "Which test produces which symptom"
FOLDER = pages.ROOT / "tests" / "server"


def test_every_entry_has_a_test_and_every_test_exists() -> None:
    entries = [title for title in re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE) if title != TESTS]
    _, *rows = pages.rows(pages.section(PAGE, TESTS))
    linked = {anchor for entry, *_ in rows for anchor in re.findall(r"\(#(.+?)\)", entry)}
    assert linked == {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in entries}
    for row in rows:
        (name,) = pages.names(row[-1])
        file, _, test = name.partition("::")
        assert f"def {test}(" in (FOLDER / file).read_text(), name
