"""Every decision record has a status, a date and its sections, and records that replace each other name each other."""

import re
from datetime import date
from pathlib import Path

import pytest

from tests.docs import pages

RECORDS = sorted((pages.DOCS / "decisions").glob("*.md"))
SECTIONS = ["Context", "Decision", "Measurements", "Consequences", "Repeat the measurement"]
OPPOSITES = {
    "superseded by": "supersedes",
    "supersedes": "superseded by",
    "extended by": "extends",
    "extends": "extended by",
}


def facts(record: Path) -> dict[str, str]:
    """The table at the top: status, date and where it was measured."""
    return dict(pages.rows(record.read_text().partition("\n## ")[0]))


def relations(record: Path) -> set[tuple[str, str]]:
    """(relation, file name) of each record that the status names."""
    return set(
        re.findall(r"(superseded by|supersedes|extended by|extends) \[\d{4}\]\(([^)]+)\)", facts(record)["status"])
    )


@pytest.mark.parametrize("record", RECORDS, ids=pages.name_of)
def test_a_record_has_title_status_date_and_sections(record: Path) -> None:
    title, *_ = record.read_text().splitlines()
    assert re.fullmatch(rf"# {record.name[:4]} \S.*", title)
    assert re.match(r"(accepted|rejected|superseded)\b", facts(record)["status"])
    assert date.fromisoformat(facts(record)["date"])
    assert facts(record)["measured on"]
    assert re.findall(r"^## (.*)$", record.read_text(), re.MULTILINE) == SECTIONS
    assert pages.commands(pages.section(record, "Repeat the measurement"))


@pytest.mark.parametrize("record", RECORDS, ids=pages.name_of)
def test_related_records_name_each_other(record: Path) -> None:
    for relation, name in relations(record):
        assert (OPPOSITES[relation], record.name) in relations(record.parent / name)
    assert len(re.findall(r"\]\(", facts(record)["status"])) == len(relations(record))


def test_the_numbers_have_no_gap_and_the_index_lists_every_title() -> None:
    assert [record.name[:4] for record in RECORDS] == [f"{number:04}" for number in range(1, len(RECORDS) + 1)]
    _, *table = pages.rows(pages.section(pages.DOCS / "README.md", "Decisions"))
    listed = [(link, re.sub(r" \(.*\)$", "", title)) for link, title in table]
    titles = [(record, record.read_text().splitlines()[0].removeprefix(f"# {record.name[:4]} ")) for record in RECORDS]
    assert listed == [(f"[{record.name[:4]}](decisions/{record.name})", title) for record, title in titles]
