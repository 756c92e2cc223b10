"""Many requests at once on a server that runs waiting windows together, if it has measured that this is faster."""

import concurrent.futures
from pathlib import Path

import httpx

from tests.server.questions import ANSWER, CONTEXT, QUESTION, ask
from tests.server.server_process import metric_lines
from tools.local_server import LocalServer

SETTINGS = {
    "PRECISIONS": "INT8",
    "RUNG_STEP": "32",
    "WIDE_LANE": "false",
    "BACKGROUND_LANES": "false",
    "MAX_BATCH_WINDOWS": "auto",
}
QUESTIONS = {
    QUESTION: ANSWER,
    "When was the lighthouse built?": "1871",
    "How tall is the lighthouse?": "42 metres",
}
REQUESTS = 300


def test_each_request_gets_its_own_answer_and_the_shapes_that_pay_are_used(demo_dir: Path, tmp_path: Path) -> None:
    with (
        LocalServer(demo_dir, SETTINGS, log=tmp_path / "log") as server,
        httpx.Client(base_url=server.url, timeout=60, limits=httpx.Limits(max_connections=24)) as client,
    ):
        server.wait_until_warm()
        shapes = server.info()["batches"]["INT8"]
        assert "INT8 runs " in (tmp_path / "log").read_text()
        asked = [list(QUESTIONS)[number % len(QUESTIONS)] for number in range(REQUESTS)]
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda question: ask(client, question=question, context=CONTEXT), asked))
        for question, answer in zip(asked, answers, strict=True):
            assert QUESTIONS[question] in answer["answer"], (question, answer)
            assert CONTEXT[answer["start"] : answer["end"]] == answer["answer"]
        calls = sum(float(line.split()[-1]) for line in metric_lines(server, "bertqa_batches_total{"))
        fitting = [shape for shape in shapes if shape["tokens"] == 64]  # the windows have 45 or 46 tokens
        assert (calls > 0) == bool(fitting)
        assert all(shape["windows"] in (2, 4) and shape["gain"] >= 1.1 for shape in shapes)
