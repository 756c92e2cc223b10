"""The command evaluate: in process and over HTTP, after interruptions, and with bad input."""

import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest

from model_loader.signing.file_hash import sha256_of
from tests.artifacts import edit_manifest
from tests.tools.command import command_line, error_of, run_tool
from tests.tools.demo_files import HELD_OUT
from tests.tools.evaluation import evaluate, report_of
from tests.waiting import wait_until
from tools.answers.artifact import ArtifactSource
from tools.answers.source import remote_answers
from tools.local_server import PROGRAM_DIR, LocalServer
from tools.squad.examples import read_examples
from tools.squad.metric import exact_match, f1
from tools.squad.rules import EVALUATION_RULES

# Two runs with all held-out questions: one in process, one over HTTP


@pytest.fixture(scope="module")
def runs(demo_dir: Path, server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each run, the directory with its files; the file `printed` has its output."""
    directories = {}
    for name, source in (("process", ("--model-dir", demo_dir)), ("http", ("--url", server.url))):
        directories[name] = directory = tmp_path_factory.mktemp(name)
        done = evaluate(directory, *source, "--data", HELD_OUT)
        assert done.returncode == 0, done.stderr
        (directory / "printed").write_text(done.stdout)
    return directories


def test_every_answer_is_the_same_in_process_and_over_http(runs: dict[str, Path]) -> None:
    here, there = (report_of(runs[name]) for name in ("process", "http"))
    assert list(here["answers"]) == ["FP32", "INT8"]
    assert all(len(answers) == 196 for answers in here["answers"].values())
    for part in ("answers", "scores", "difference_to_fp32", "data", "rules"):
        assert here[part] == there[part]
    tables = [(runs[name] / "printed").read_text().splitlines()[:-1] for name in ("process", "http")]
    assert tables[0] == tables[1]


def test_the_scores_in_the_report_are_those_of_its_answers(runs: dict[str, Path]) -> None:
    report = report_of(runs["process"])
    examples = read_examples(str(HELD_OUT))
    each = {}
    for precision, answers in report["answers"].items():
        pairs = [(answers[example.id], example.answers) for example in examples]
        each[precision] = 100 * np.array([(exact_match(*pair), f1(*pair)) for pair in pairs])
        scores = report["scores"][precision]
        assert [scores["exact_match"], scores["f1"]] == pytest.approx(each[precision].mean(axis=0).tolist())
    assert scores["f1"] > 60
    difference = report["difference_to_fp32"]["INT8"]
    for column, measure in enumerate(("exact_match", "f1")):
        mean = (each["INT8"] - each["FP32"])[:, column].mean()
        assert difference[measure]["difference"] == pytest.approx(mean)
        lower, upper = difference[measure]["interval_95"]
        assert lower <= mean <= upper
        assert lower < upper


def test_questions_whose_answer_changed_are_listed_with_the_largest_loss_first(runs: dict[str, Path]) -> None:
    report = report_of(runs["process"])
    listed = [json.loads(line) for line in (runs["process"] / "changed.jsonl").read_text().splitlines()]
    answers = report["answers"]
    expected = {name for name, answer in answers["INT8"].items() if answer != answers["FP32"][name]}
    assert {one["id"] for one in listed} == expected
    assert len(listed) == report["difference_to_fp32"]["INT8"]["answers_changed"] > 0
    gains = [one["f1"]["INT8"] - one["f1"]["FP32"] for one in listed]
    assert gains == sorted(gains)
    by_id = {example.id: example for example in read_examples(str(HELD_OUT))}
    for one in listed:
        assert one["question"] == by_id[one["id"]].question
        assert one["gold"] == list(dict.fromkeys(by_id[one["id"]].answers))
        assert one["answers"] == {precision: answers[precision][one["id"]] for precision in answers}
        assert one["exact_match"]["INT8"] == 100 * exact_match(one["answers"]["INT8"], one["gold"])


def test_the_table_shows_the_figures_in_80_columns(runs: dict[str, Path]) -> None:
    printed = (runs["process"] / "printed").read_text()
    report = report_of(runs["process"])
    assert "demo, held_out.json: 196 questions, SQuAD v1.1" in printed
    assert "…" not in printed
    assert printed.index("FP32 ") < printed.index("INT8 ")
    for scores in report["scores"].values():
        assert f"{scores['exact_match']:.2f}" in printed
        assert f"{scores['f1']:.2f}" in printed
    f1_difference = report["difference_to_fp32"]["INT8"]["f1"]
    lower, upper = f1_difference["interval_95"]
    assert f"{f1_difference['difference']:+.2f} [{lower:+.2f}, {upper:+.2f}]" in printed


def test_the_fingerprint_describes_what_answered(runs: dict[str, Path], server: LocalServer) -> None:
    here, there = (report_of(runs[name])["fingerprint"] for name in ("process", "http"))
    assert there["server"]["rungs"] == server.info()["rungs"]
    assert here["cpu"] == there["cpu"]
    for precision in ("INT8", "FP32"):
        assert len(here["server"]["precisions"][precision]["sha256"]) == 64
        assert here["server"]["precisions"][precision] == there["server"]["precisions"][precision]
    assert here["versions"]["torch"] == there["versions"]["torch"]
    assert "python -m tools.evaluate --url" in there["command"]


def test_a_complete_run_leaves_no_journal(runs: dict[str, Path]) -> None:
    assert [list((directory / "journal").iterdir()) for directory in runs.values()] == [[], []]


# Scores


def test_the_report_says_how_often_answers_of_a_score_are_right(runs: dict[str, Path]) -> None:
    here, there = (report_of(runs[name]) for name in ("process", "http"))
    assert here["reliability"] == there["reliability"]
    assert here["answer_scores"] == there["answer_scores"]
    examples = read_examples(str(HELD_OUT))
    printed = (runs["process"] / "printed").read_text()
    for precision, found in here["reliability"].items():
        scores, answers = here["answer_scores"][precision], here["answers"][precision]
        is_right = {example.id: bool(exact_match(answers[example.id], example.answers)) for example in examples}
        assert found["right"] == pytest.approx(np.mean(list(is_right.values())))
        assert sum(one["questions"] for one in found["bins"]) == 196
        assert f"{found['expected_calibration_error']:.3f}" in printed
        for coverage in filter(None, found["coverage"].values()):
            taken = [name for name, score in scores.items() if score >= coverage["threshold"]]
            assert len(taken) / 196 == pytest.approx(coverage["coverage"])
            assert np.mean([is_right[name] for name in taken]) == pytest.approx(coverage["precision"])
            assert f"{100 * coverage['coverage']:.1f} %" in printed


# Interruptions

LIMIT = 150  # questions; the signal must arrive before all of them are asked in the first precision


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_same_command_continues_an_interrupted_run(
    demo_dir: Path, tmp_path: Path, runs: dict[str, Path], how: signal.Signals
) -> None:
    arguments = ("--model-dir", demo_dir, "--data", HELD_OUT, "--limit", LIMIT)
    running = subprocess.Popen(
        command_line("evaluate", *arguments, "--journal", tmp_path / "journal"),
        cwd=PROGRAM_DIR,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until("20 questions are asked", lambda: any(lines_in(tmp_path / "journal", at_least=20)), seconds=300)
        running.send_signal(how)
        printed, _ = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == (130 if how == signal.SIGINT else -how)
    assert ("to continue from here" in printed) == (how == signal.SIGINT)
    (path,) = lines_in(tmp_path / "journal", at_least=20)
    kept = path.read_bytes().count(b"\n") - 1
    with path.open("ab") as journal:
        journal.write(b'{"id": "demo-0')  # an incomplete line
    done = evaluate(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert f"FP32: continues after {kept} of {LIMIT} questions, which an earlier run has asked" in done.stdout
    assert "INT8: continues" not in done.stdout
    whole = report_of(runs["process"])["answers"]
    for precision, answers in report_of(tmp_path)["answers"].items():
        assert answers == dict(list(whole[precision].items())[:LIMIT])


def lines_in(directory: Path, at_least: int) -> list[Path]:
    return [path for path in directory.glob("*.jsonl") if path.read_bytes().count(b"\n") > at_least]


def test_the_identity_of_a_source_depends_on_its_files_and_precision(
    demo_dir: Path, server: LocalServer, tmp_path: Path
) -> None:
    here = ArtifactSource(demo_dir, None)
    assert here.identity("INT8") != here.identity("FP32")
    assert here.identity("INT8") == ArtifactSource(demo_dir, ("INT8",)).identity("INT8")
    other = tmp_path / "other"
    other.mkdir()
    for path in demo_dir.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    path = other / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text())))  # other bytes, but the same tokenizer
    found = {"sha256": sha256_of(path), "size_bytes": path.stat().st_size}
    edit_manifest(other, lambda content: content["tokenizer"].update(found))
    assert ArtifactSource(other, None).identity("INT8") != here.identity("INT8")
    assert server.info()["precisions"]["INT8"]["sha256"] == here.info()["precisions"]["INT8"]["sha256"]


# Sources


def test_any_function_from_request_body_to_response_body_is_a_source(
    client: httpx.Client, runs: dict[str, Path]
) -> None:
    def ask(body: bytes) -> bytes:
        return client.post("/invocations", content=body).raise_for_status().content

    examples = read_examples(str(HELD_OUT))[:12]
    answers = [reply.answer for reply in remote_answers(ask, "INT8", examples, EVALUATION_RULES)]
    assert answers == [report_of(runs["http"])["answers"]["INT8"][example.id] for example in examples]


class Proxy(BaseHTTPRequestHandler):
    """Pass requests on to the real server, but refuse the first five as a busy server does."""

    target = ""
    refused: list[str] = []

    def do_GET(self) -> None:
        self._pass_on(httpx.get(self.target + self.path))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(self.refused) < 5:
            self.refused.append(self.path)
            self._pass_on(httpx.Response(429, json={"error": "later"}, headers={"Retry-After": "0"}))
        else:
            self._pass_on(httpx.post(self.target + self.path, content=body))

    def log_message(self, *arguments: object) -> None:
        pass

    def _pass_on(self, response: httpx.Response) -> None:
        self.send_response(response.status_code)
        for name in ("Content-Type", "Retry-After"):
            if name in response.headers:
                self.send_header(name, response.headers[name])
        self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        self.wfile.write(response.content)


@pytest.fixture
def busy_url(server: LocalServer) -> Iterator[str]:
    handler = type("Busy", (Proxy,), {"target": server.url, "refused": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()


def test_refused_questions_are_asked_again(busy_url: str, runs: dict[str, Path], tmp_path: Path) -> None:
    done = evaluate(tmp_path, "--url", busy_url, "--data", HELD_OUT, "--limit", 10, "--precisions", "int8")
    assert done.returncode == 0, done.stderr
    whole = report_of(runs["http"])["answers"]["INT8"]
    assert report_of(tmp_path)["answers"]["INT8"] == dict(list(whole.items())[:10])
    assert report_of(tmp_path)["difference_to_fp32"] == {}
    assert (tmp_path / "changed.jsonl").read_text() == ""


def test_long_and_blank_questions_do_not_end_a_run(demo_dir: Path, server: LocalServer, tmp_path: Path) -> None:
    questions = {"long": "Who built the tower? " + "really " * 70, "blank": " ", "good": "Who built the tower?"}
    qas = [{"id": name, "question": text, "answers": [{"text": "Zoë"}]} for name, text in questions.items()]
    file = tmp_path / "bad.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Zoë built the tower.", "qas": qas}]}]}))
    answers = []
    for where in (("--model-dir", demo_dir), ("--url", server.url)):
        done = evaluate(tmp_path, *where, "--data", file)
        assert done.returncode == 0, done.stderr
        assert "1 question(s) with more than 64 tokens were cut after 64 tokens" in done.stdout
        assert "1 question(s) without words were not asked" in done.stdout
        answers.append(report_of(tmp_path)["answers"])
    assert answers[0] == answers[1]
    assert answers[0]["FP32"]["blank"] == ""
    assert answers[0]["FP32"]["long"] != ""


# Errors


def test_each_error_is_one_line_that_says_what_to_do(demo_dir: Path, server: LocalServer, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text('{"data": []}')
    here, there = ("--model-dir", demo_dir), ("--url", server.url)
    for arguments, message in (
        ((*here, "--data", empty), "contains no questions"),
        ((*here, "--data", tmp_path / "missing.json"), "cannot read"),
        ((*here, "--data", HELD_OUT, "--max-question-len", 300), "have room for a question of at most 251 tokens"),
        ((*here, "--data", HELD_OUT, "--precisions", "int4"), "--precisions int4: must be auto, or some of"),
        ((*there, "--data", HELD_OUT, "--precisions", "bf16"), "the server does not serve BF16: it serves INT8, FP32"),
        (("--url", f"{server.url}/docs", "--data", HELD_OUT), "does another server run there?"),
        (("--model-dir", tmp_path / "missing", "--data", HELD_OUT), "is not a directory"),
        ((*here, "--data", HELD_OUT, "--limit", 1, "--output", tmp_path / "empty.json" / "x"), "cannot write"),
        ((*here, "--data", HELD_OUT, "--limit", 1, "--journal", tmp_path / "empty.json" / "x"), "--journal"),
    ):
        own = () if "--journal" in arguments else ("--journal", tmp_path / "journal")
        done = run_tool("evaluate", *arguments, *own, environment={"COLUMNS": "400"})
        assert message in error_of(done), arguments
    refused = evaluate(tmp_path, *here, "--data", HELD_OUT, "--limit", 0)
    assert refused.returncode == 2
    assert re.search(r"--limit: '0' is not a number above 0", refused.stderr)


# A SageMaker endpoint


def test_an_endpoint_gives_the_same_report_as_its_server(
    local_endpoint: str, server: LocalServer, tmp_path: Path
) -> None:
    reports = []
    for number, where in enumerate((["--endpoint", "bert-qa"], ["--url", server.url])):
        output = tmp_path / f"{number}.json"
        files = ("--output", output, "--journal", tmp_path / "journal")
        done = run_tool("evaluate", *where, "--data", HELD_OUT, "--limit", 20, *files)
        assert done.returncode == 0, done.stderr
        report = json.loads(output.read_text())
        del report["fingerprint"]
        reports.append(report)
    assert reports[0] == reports[1]
