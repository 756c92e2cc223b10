"""SQuAD by name, downloaded from a peer on a real socket."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from tools.errors import ToolError
from tools.squad import named_sets
from tools.squad.examples import read_articles, read_examples
from tools.squad.named_sets import SETS, SquadFile, path_of

QA = {"id": "q1", "question": "Who?", "answers": [{"text": "Zoë", "answer_start": 0}]}
CONTENT = json.dumps({"data": [{"paragraphs": [{"context": "Zoë did.", "qas": [QA]}]}]}).encode()


class Peer(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder whose files the peer serves in the place of SQuAD's authors. The cache is empty."""
    folder = tmp_path / "published"
    folder.mkdir()
    server = HTTPServer(("127.0.0.1", 0), partial(Peer, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(named_sets, "BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(SETS, "squad:validation", SquadFile("dev-v1.1.json", sha256(CONTENT).hexdigest()))
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_downloaded_once_and_then_read_from_the_cache(published: Path) -> None:
    (published / "dev-v1.1.json").write_bytes(CONTENT)
    (example,) = read_examples("squad:validation")
    assert (example.question, example.answers) == ("Who?", ("Zoë",))
    (published / "dev-v1.1.json").unlink()
    assert read_articles("squad:validation") == [[example]]
    assert [path.name for path in named_sets.cache_folder().iterdir()] == ["dev-v1.1.json"]


def test_a_file_that_the_user_has_copied_into_the_cache_is_used(published: Path) -> None:
    named_sets.cache_folder().mkdir(parents=True)
    (named_sets.cache_folder() / "dev-v1.1.json").write_bytes(CONTENT)
    assert len(read_examples("squad:validation")) == 1


def test_a_damaged_file_in_the_cache_is_downloaded_again(published: Path) -> None:
    (published / "dev-v1.1.json").write_bytes(CONTENT)
    cached = named_sets.cache_folder() / "dev-v1.1.json"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT[:-10])
    assert len(read_examples("squad:validation")) == 1
    assert cached.read_bytes() == CONTENT


def test_another_content_is_refused_and_not_kept(published: Path) -> None:
    (published / "dev-v1.1.json").write_bytes(b"<html>log in</html>")
    with pytest.raises(
        ToolError, match=r"has the SHA-256 .*page of a proxy\. Copy the right file to .*dev-v1\.1\.json"
    ):
        read_examples("squad:validation")
    assert not named_sets.cache_folder().exists()


def test_without_a_connection_the_error_names_the_place_for_a_copy(published: Path) -> None:
    with pytest.raises(
        ToolError, match=r"cannot download http://.*404.*copy the file to .*bert-qa/squad/dev-v1\.1\.json"
    ):
        read_examples("squad:validation")


@pytest.mark.parametrize("source", ["squad", "squad_v2", "squad:", "squad:test", "squad_v2:dev"])
def test_a_name_without_a_known_split_says_which_there_are(source: str) -> None:
    name = source.partition(":")[0]
    with pytest.raises(ToolError, match=f"split.*name {name}:train to calibrate.*{name}:validation to evaluate"):
        read_examples(source)


def test_everything_else_is_a_path() -> None:
    assert path_of("squad.json") == Path("squad.json")
    assert path_of("data/squad:train") == Path("data/squad:train")


def test_each_file_has_a_hash_of_its_own() -> None:
    assert {len(file.sha256) for file in SETS.values()} == {64}
    assert len({file.sha256 for file in SETS.values()}) == len({file.name for file in SETS.values()}) == 4
