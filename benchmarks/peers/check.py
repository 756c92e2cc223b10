"""Do the peers answer as we do? The same questions to each, held against ours and against the gold answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from benchmarks.peers.servers import Running
from serve.qa.answer_overlap import normalize_answer
from tools.squad.examples import Example
from tools.squad.metric import exact_match, f1


@dataclass(frozen=True)
class Quality:
    """Percentages over the questions: agreement is equality after SQuAD's normalisation."""

    exact_match: float
    f1: float
    agrees_with_int8: float
    agrees_with_fp32: float


def answers(server: Running, examples: Sequence[Example]) -> list[str]:
    """A server's best answers. Ours is asked for bare token spans, as the peers give: it widens them to words else."""
    texts = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for example in examples:
            body = {"question": example.question, "context": example.context, "parameters": {"align_to_words": False}}
            texts.append(client.post(server.path, json=body).raise_for_status().json()["answer"])
    return texts


def quality(given: Sequence[str], int8: Sequence[str], fp32: Sequence[str], examples: Sequence[Example]) -> Quality:
    """One server's answers against gold, and against our two precisions'."""
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
