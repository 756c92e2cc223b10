"""docs/reliability.md names tests that exist."""

import re

import pytest

from tests.docs import pages

PAGE = pages.DOCS / "reliability.md"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.read_text())))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=lambda each: each)
def test_a_named_test_exists(file: str, test: str) -> None:
    path = pages.ROOT / file
    assert path.is_file(), f"{file} does not exist"
    assert re.search(rf"^def {test}\(", path.read_text(), re.MULTILINE), f"{file} has no {test}"


@pytest.mark.parametrize("heading", ["Hostile input", "Faults of processes"])
def test_every_row_names_its_test(heading: str) -> None:
    (_, *rows) = pages.rows(pages.section(PAGE, heading))
    assert rows
    for row in rows:
        assert any(f"`{file}::{test}`" in row[-1] for file, test in NAMED), row
