"""Compare the answers of the peers with ours and with the gold answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from benchmarks.peers.servers import RunningServer
from serve.qa.answer_overlap import normalize_answer
from tools.squad.examples import Example
from tools.squad.metric import exact_match, f1


@dataclass(frozen=True)
class Quality:
    """Percentages of the questions. Two answers agree if they are equal after SQuAD's normalization."""

    exact_match: float
    f1: float
    agrees_with_int8: float
    agrees_with_fp32: float


def answers(server: RunningServer, examples: Sequence[Example]) -> list[str]:
    """Return a server's best answers.

    Our server would widen spans to whole words. The request switches that off, because the peers do not do it.
    """
    texts = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for example in examples:
            body = {"question": example.question, "context": example.context, "parameters": {"align_to_words": False}}
            texts.append(client.post(server.path, json=body).raise_for_status().json()["answer"])
    return texts


def quality(given: Sequence[str], int8: Sequence[str], fp32: Sequence[str], examples: Sequence[Example]) -> Quality:
    """Compare one server's answers with the gold answers and with those of our two precisions."""
    pairs = list(zip(given, examples, strict=True))
    return Quality(
        exact_match=_percent([exact_match(text, example.answers) for text, example in pairs]),
        f1=_percent([f1(text, example.answers) for text, example in pairs]),
        agrees_with_int8=_agreement(given, int8),
        agrees_with_fp32=_agreement(given, fp32),
    )


def _agreement(given: Sequence[str], other: Sequence[str]) -> float:
    return _percent([float(normalize_answer(a) == normalize_answer(b)) for a, b in zip(given, other, strict=True)])


def _percent(values: Sequence[float]) -> float:
    return 100 * sum(values) / len(values)
