"""An artifact with a calibration and a threshold: other scores, the same answers, and "" by the threshold."""

import math
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.artifacts import CALIBRATION, edit_manifest
from tests.server.questions import CONTEXT, LONG_TEXT, QUESTION, ask
from tools.local_server import LocalServer

TEMPERATURE, SHIFT = 1.6, 1.25
FIGURES = {**CALIBRATION, "log_odds_shift": SHIFT}
BODIES = [
    {"context": "Zoë built it. It is old.", "padding": ""},
    {"context": "Zoë built it. It is old.", "padding": "x" * 40_000},  # in a text process
    {"contexts": ["Zoë built it.", "It is old."]},
]


def test_scores_are_calibrated_and_the_ranking_stays(client: httpx.Client, artifact_copy: Path, tmp_path: Path) -> None:
    def calibrate(manifest: dict[str, object]) -> None:
        manifest.update(temperature=TEMPERATURE, calibration=FIGURES, no_answer_threshold=-1000)

    edit_manifest(artifact_copy, calibrate)
    fast = {"PRECISIONS": "INT8", "RUNG_STEP": "16", "WIDE_LANE": "false"}
    with LocalServer(artifact_copy, fast, log=tmp_path / "log") as server, httpx.Client(base_url=server.url) as other:
        model = server.info()["model"]
        assert (model["temperature"], model["log_odds_shift"]) == (TEMPERATURE, SHIFT)
        server.wait_until_warm()
        parameters = {"top_k": 100, "return_logits": True, "align_to_words": False}
        for body in BODIES:
            plain = ask(client, question=QUESTION, **body, parameters=parameters)["answers"]
            found = ask(other, question=QUESTION, **body, parameters=parameters)["answers"]
            assert len(plain) < 100  # so these are all spans
            assert [(each["answer"], each["start"]) for each in found] == [(e["answer"], e["start"]) for e in plain]
            logits = np.array([each["logit"] for each in found])
            assert logits.tolist() == [each["logit"] for each in plain]
            best = 1 / np.exp((logits - logits[0]) / TEMPERATURE).sum()
            odds = best / (1 - best) * math.exp(SHIFT)
            assert found[0]["score"] == pytest.approx(odds / (1 + odds), rel=1e-4)
            assert plain[0]["score"] == pytest.approx(1 / np.exp(logits - logits[0]).sum(), rel=1e-4)
            assert sum(each["score"] for each in found) == pytest.approx(1, abs=1e-4)
        long = {"question": QUESTION, "context": LONG_TEXT + CONTEXT, "parameters": {"max_seq_len": 96}}
        plain, found = ask(client, **long), ask(other, **long)  # about thirty windows
        assert (found["answer"], found["start"]) == (plain["answer"], plain["start"])
        assert found["score"] != plain["score"]
        assert model["no_answer_threshold"] == -1000
        impossible = {"handle_impossible_answer": True}
        for padding in ("", "x" * 40_000):
            body = {"question": QUESTION, "context": CONTEXT, "padding": padding}
            assert ask(other, **body)["answer"] != ""
            assert ask(other, **body, parameters=impossible)["answer"] == ""
            own = {**impossible, "no_answer_threshold": 1000}
            assert ask(other, **body, parameters=own)["answer"] != ""
