"""docs/settings.md against the settings and the exit codes in the code."""

from container import contract
from container.settings import Settings, variable_names
from tests.docs import pages

PAGE = pages.DOCS / "settings.md"


def test_every_setting_has_its_row_with_names_default_and_meaning() -> None:
    documented = {row[0]: row[1:] for row in pages.rows(pages.section(PAGE, "Settings").split("\n## ")[0])}
    del documented["variable"]
    for name, field in Settings.model_fields.items():
        names = ", ".join(f"`{variable}`" for variable in variable_names(name))
        default = {None: "auto", (): ""}.get(field.default, str(field.default))
        row = f"| {names} | `{default}` | {field.description} |"
        assert names in documented, f"missing in docs/settings.md: {row}"
        assert documented[names][0].strip("`").lower() == default.lower(), row
        assert documented[names][1] == field.description, f"docs/settings.md should have: {row}"
    assert len(documented) == len(Settings.model_fields)


def test_the_variables_of_libraries_have_the_values_that_the_entry_point_sets() -> None:
    script = (pages.ROOT / "entrypoint.sh").read_text()
    _, *documented = pages.rows(pages.section(PAGE, "Variables of libraries"))
    assert documented
    for name, value, _ in documented:
        variable = name.strip("`")
        assert f'export {variable}="${{{variable}:-{value.strip("`")}}}"' in script


def test_every_exit_code_has_its_row() -> None:
    documented = {row[0] for row in pages.rows(pages.section(PAGE, "Exit codes")) if row[0].isdigit()}
    codes = {0, *(value for name, value in vars(contract).items() if name.startswith("EXIT_"))}
    assert documented == {str(code) for code in codes}
