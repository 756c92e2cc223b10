"""docs/checkpoints.md against the code: the fields that are refused or replaced, and the exit codes of invoke."""

from tests.docs import pages
from tools.checkpoint import configuration
from tools.invoke.__main__ import EXIT_SOME_REFUSED

PAGE = pages.DOCS / "checkpoints.md"


def test_the_table_names_every_field_that_is_refused_and_no_other() -> None:
    _, *table = pages.rows(pages.section(PAGE, "Fields of config.json"))
    assert [pages.names(field) for field, *_ in table] == [[name] for name, *_ in configuration.RULES]


def test_the_fields_that_are_replaced_are_named() -> None:
    text = pages.section(PAGE, "Fields of config.json")
    assert [name for name in pages.names(text) if name in configuration.WITHOUT_EFFECT] == list(
        configuration.WITHOUT_EFFECT
    )


def test_the_exit_code_for_some_refused_questions_is_documented() -> None:
    _, *table = pages.rows(pages.section(PAGE, "Ask a model by hand"))
    assert [meaning for code, meaning in table if code == str(EXIT_SOME_REFUSED)][0].startswith("some questions")
