"""API keys: what a file of keys may contain, and which headers have one of them."""

import logging
from pathlib import Path

import pytest

from container.access.api_keys import FILE_BYTES, ApiKeys, read_api_keys
from container.settings import Settings
from container.validation.environment import SettingsError

FIRST, SECOND = b"0123456789abcdef", b"Zm9vYmFyYmF6cXV4+/=="


def settings_with(file: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("API_KEY_FILE", str(file))
    return Settings.from_env()


def test_without_a_file_there_are_no_keys() -> None:
    assert read_api_keys(Settings()) is None


@pytest.mark.parametrize("line_end", [b"", b"\n", b"\r\n", b"\n\n  \n"])
def test_each_line_of_the_file_is_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line_end: bytes) -> None:
    (tmp_path / "keys").write_bytes(FIRST + b"\n  " + SECOND + line_end)
    keys = read_api_keys(settings_with(tmp_path / "keys", monkeypatch))
    assert keys
    assert keys.accept(b"Bearer " + FIRST)
    assert keys.accept(b"Bearer " + SECOND)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no API key"),
        (b" \n\n", "has no API key"),
        (b"short", "API key 1 of the file cannot be used"),
        (FIRST + b"\nwith a space in it", "API key 2 of the file cannot be used"),
        ("schlüssel-schlüssel".encode(), "API key 1 of the file cannot be used"),
        (b"\x00" * 20, "API key 1 of the file cannot be used"),
        (b"x" * 600, "API key 1 of the file cannot be used"),
        (FIRST + b"\n" * FILE_BYTES, "is larger than"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_line_without_its_content(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=reason) as caught:
        read_api_keys(settings_with(file, monkeypatch))
    assert str(caught.value).startswith(f"API_KEY_FILE='{file}': ")
    assert "\n" not in str(caught.value)
    for line in filter(None, content.decode(errors="replace").splitlines()):
        assert line.strip() == "" or line not in str(caught.value)


@pytest.mark.parametrize("name", ["missing", ".", "x" * 300])
def test_a_file_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"^API_KEY_FILE=.*: the file cannot be read \("):
        read_api_keys(settings_with(tmp_path / name, monkeypatch))


@pytest.mark.parametrize(
    ("header", "is_accepted"),
    [
        (b"Bearer " + FIRST, True),
        (b"bearer " + FIRST, True),
        (b"BEARER   " + FIRST + b" ", True),
        (b"Basic " + FIRST, False),
        (FIRST, False),
        (b"Bearer", False),
        (b"Bearer ", False),
        (b"", False),
        (b"Bearer " + FIRST[:-1], False),
        (b"Bearer " + FIRST + b"x", False),
        (b"Bearer " + FIRST.upper(), False),
        (b"Bearer " + FIRST + b"," + FIRST, False),
        (b"Bearer \xff\xfe", False),
        (b"Bearer " + b"x" * 60_000, False),
    ],
)
def test_a_header_has_a_key_or_not(header: bytes, is_accepted: bool) -> None:
    assert ApiKeys([SECOND, FIRST]).accept(header) == is_accepted


def test_no_key_is_in_the_settings_that_are_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "keys").write_bytes(FIRST)
    settings = settings_with(tmp_path / "keys", monkeypatch)
    with caplog.at_level(logging.DEBUG):
        keys = read_api_keys(settings)
    assert FIRST.decode() not in f"{settings.model_dump_json()} {keys!r} {vars(keys)} {caplog.text}"
