"""Every program of docs/clients.md is run with its real client against a real server."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import boto3
import pytest

from tests.aws.example_environments import EXAMPLES, environment_of, python_with
from tests.docs import pages
from tools.local_server import LocalServer

PAGE = pages.DOCS / "clients.md"
SERVER = "http://localhost:8080"
ANSWER = "Zoë Müller"
KEY = "the-key-of-the-clients"
SECONDS = 300
# The programs of each section, by their language and in their order, and how many times each prints the answer.
PROGRAMS = {
    "curl": [("sh", 1)],
    "requests": [("python", 1)],
    "httpx": [("python", 1), ("python", 8)],
    "Hugging Face's InferenceClient": [("python", 1)],
    "The requests of Hugging Face's endpoints": [("python", 1)],
    "JavaScript": [("js", 1)],
    "Java": [("java", 1)],
    "Real-time": [("python", 1)],
    "Response stream": [("python", 1)],
    "Asynchronous": [("python", 1), ("sh", 1)],
    "SageMaker SDK": [("python", 1), ("python", 1)],
    "With an API key": [("python", 2)],
}


def programs(heading: str) -> list[tuple[str, str]]:
    """(language, text) of each program of a section."""
    return re.findall(r"```(\w+)\n(.*?)```", pages.section(PAGE, heading), re.DOTALL)


def run(language: str, program: str, folder: Path, python: Path | str = sys.executable) -> str:
    """Run a program as its reader would, and return what it prints. It is skipped if its tool is not installed."""
    files = {"python": "ask.py", "js": "ask.mjs", "java": "Ask.java", "sh": "ask.sh"}
    tools = {"python": str(python), "js": "node", "java": "java", "sh": "sh"}
    if shutil.which(tools[language]) is None:
        pytest.skip(f"{tools[language]} is not installed")
    file = folder / files[language]
    file.write_text(program)
    environment = {"LC_ALL": "C.UTF-8", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [tools[language], file],
        cwd=pages.ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(heading: str, number: int, server: LocalServer, folder: Path) -> str:
    """Run one program of a section against a server, and check how often it prints the answer."""
    language, times = PROGRAMS[heading][number]
    found, program = programs(heading)[number]
    assert found == language
    printed = run(language, program.replace(SERVER, server.url), folder)
    assert printed.count(ANSWER) == times, printed
    return printed


def test_every_program_of_the_page_is_run() -> None:
    text = PAGE.read_text()
    assert len(re.findall(r"^```\w+$", text, re.MULTILINE)) == sum(map(len, PROGRAMS.values()))
    for heading, listed in PROGRAMS.items():
        assert [language for language, _ in programs(heading)] == [language for language, _ in listed]


def test_every_program_asks_the_same_question() -> None:
    for heading in PROGRAMS:
        for _, program in programs(heading):
            assert "Who built the lighthouse?" in program
            assert "The lighthouse at Cape Arden was built in 1871 by the engineer Zoë Müller." in program


@pytest.mark.parametrize("library", ["requests", "httpx", "huggingface_hub", "boto3"])
def test_the_versions_of_the_page_are_those_that_are_tested(library: str) -> None:
    (stated,) = (row[1] for row in pages.rows(PAGE.read_text()) if row[0].startswith(f"[{library}]"))
    assert version(library).startswith(f"{stated}.")


@pytest.mark.parametrize(
    ("heading", "number"),
    [
        ("curl", 0),
        ("requests", 0),
        ("httpx", 0),
        ("httpx", 1),
        ("Hugging Face's InferenceClient", 0),
        ("JavaScript", 0),
        ("Java", 0),
    ],
)
def test_a_client_of_the_server_gets_the_answer(server: LocalServer, tmp_path: Path, heading: str, number: int) -> None:
    ask(heading, number, server, tmp_path)


def test_lists_of_questions_and_contexts_get_a_list_of_answers(server: LocalServer, tmp_path: Path) -> None:
    assert ask("The requests of Hugging Face's endpoints", 0, server, tmp_path).split("\n")[:2] == [ANSWER, "1871"]


def test_the_other_url_of_the_inference_client_works_too(server: LocalServer, tmp_path: Path) -> None:
    section = pages.section(PAGE, "Hugging Face's InferenceClient")
    (named,) = re.findall(r"`(model=[^`]*)`", section)
    ((_, program),) = programs("Hugging Face's InferenceClient")
    assert f'base_url="{SERVER}"' in program
    changed = program.replace(f'base_url="{SERVER}"', named).replace(SERVER, server.url)
    assert ANSWER in run("python", changed, tmp_path)


@pytest.fixture
def bucket(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket of the page, in an empty account in which every endpoint is the server."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    place = {"LocationConstraint": "eu-west-1"}
    boto3.client("s3").create_bucket(Bucket="my-bucket", CreateBucketConfiguration=place)


@pytest.mark.parametrize("heading", ["Real-time", "Response stream"])
def test_boto3_gets_the_answer_of_an_endpoint(bucket: None, server: LocalServer, tmp_path: Path, heading: str) -> None:
    ask(heading, 0, server, tmp_path)


@pytest.mark.parametrize("number", [0, 1])
def test_an_asynchronous_endpoint_gives_its_answer(
    bucket: None, server: LocalServer, tmp_path: Path, number: int
) -> None:
    ask("Asynchronous", number, server, tmp_path)


@pytest.mark.parametrize(("number", "sdk"), [(0, "v2"), (1, "v3")])
def test_the_sagemaker_sdk_gets_the_answer(
    bucket: None, server: LocalServer, tmp_path: Path, number: int, sdk: str
) -> None:
    requirements = EXAMPLES / "sagemaker-sdk" / f"requirements-{sdk}.txt"
    if not os.environ.get("SOAK") and not environment_of(requirements).is_dir():
        pytest.skip("set SOAK=1 to install the SDK, or run tests/aws/test_example_sdk.py first")
    _, program = programs("SageMaker SDK")[number]
    assert ANSWER in run("python", program, tmp_path, python_with(requirements))


@pytest.fixture(scope="module")
def with_key(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server that asks for an API key."""
    file = tmp_path_factory.mktemp("key") / "keys"
    file.write_text(KEY)
    with LocalServer(demo_dir, {"API_KEY_FILE": str(file), "PRECISIONS": "INT8"}) as running:
        yield running


def test_a_client_sends_an_api_key(with_key: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERT_QA_KEY", KEY)
    ask("With an API key", 0, with_key, tmp_path)
