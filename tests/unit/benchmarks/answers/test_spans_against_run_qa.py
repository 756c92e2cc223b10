"""Our span search gives run_qa's answers on the same logits, and loses no more on whole articles than run_qa does."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.answers.run_qa import N_BEST, Span, best_span
from benchmarks.answers.spans_against_run_qa import RULES, Compared, Relation, compare, joined, load, relate
from serve.qa.document import Document, Tokens
from serve.qa.features import Window
from serve.qa.spans import rank
from serve.qa.types import Answer
from tools.local_model import Cutter, LocalModel
from tools.squad.accuracy import accuracy
from tools.squad.examples import read_articles

VALIDATION = Path(__file__).parents[4].parent / "shared" / "data" / "squad" / "validation.json"
needs_squad = pytest.mark.skipif(not VALIDATION.is_file(), reason=f"needs SQuAD's questions in {VALIDATION}")


@pytest.fixture(scope="module")
def loaded(demo_dir: Path) -> tuple[LocalModel, Cutter]:
    return load(demo_dir, "INT8")  # Both searches get the same logits, so any precision will do.


@needs_squad
def test_all_validation_answers_match_run_qas(loaded: tuple[LocalModel, Cutter]) -> None:
    examples = [example for article in read_articles(str(VALIDATION)) for example in article]
    counts = Counter(one.relation for one in compare(*loaded, examples))
    assert len(examples) == 2183
    assert set(counts) <= {Relation.SAME, Relation.BETTER}
    # On AVX-512 VNNI all 2,183 answers were the same. With the logits of other kernels, run_qa may miss a best span.
    assert counts[Relation.BETTER] <= 3


@needs_squad
def test_our_search_loses_no_more_on_a_whole_article_than_run_qa(loaded: tuple[LocalModel, Cutter]) -> None:
    article = min(read_articles(str(VALIDATION)), key=lambda one: len(joined(one)[0].context))
    near, far = article[:12], joined(article)[:12]
    apart, whole = list(compare(*loaded, near)), list(compare(*loaded, far))
    assert min(one.tokens for one in whole) > 2000
    assert {one.relation for one in apart + whole} <= {Relation.SAME, Relation.BETTER}
    for measure in ("exact_match", "f1"):
        assert loss(apart, whole, "ours", measure) <= loss(apart, whole, "theirs", measure)


def loss(apart: list[Compared], whole: list[Compared], search: str, measure: str) -> float:
    before, after = (
        accuracy([one.example for one in found], [getattr(one, search) for one in found])[measure]
        for found in (apart, whole)
    )
    return before - after


def one_window(tokens: int) -> tuple[str, Document, list[Window]]:
    """Return a context of one-letter words with a space after each, in one window."""
    starts = 2 * np.arange(tokens, dtype=np.int32)
    document = Document([Tokens(np.zeros(tokens, np.int32), starts, starts + 1, starts, starts + 1)])
    return "a " * tokens, document, [Window(np.zeros(tokens + 4, np.int32), 3, 0)]


def test_the_exact_search_finds_a_span_outside_run_qas_twenty_best() -> None:
    context, document, windows = one_window(tokens=100)
    start, end = (np.zeros(104, np.float32) for _ in range(2))
    start[3 : 3 + N_BEST] = 2  # The 20 best starts are tokens 0 to 19.
    end[-1 - N_BEST : -1] = 2  # The 20 best ends are tokens 80 to 99, each more than 30 tokens after them.
    start[3 + 95] = 1.5  # This is the 21st start.
    [answer] = rank(context, document, windows, [(start, end)], RULES)
    assert (answer.start, answer.end) == (190, 191)
    theirs = best_span(document, windows, [(start, end)])
    assert theirs is None
    assert relate(answer, theirs, 3.5) is Relation.BETTER


def test_a_worse_span_or_a_span_that_no_window_holds_is_wrong() -> None:
    ours, theirs = Answer("a", 0.5, 0, 1), Span(2, 3, 4.0)
    assert relate(ours, theirs, 3.9) is Relation.WRONG
    assert relate(ours, theirs, None) is Relation.WRONG
    assert relate(ours, theirs, 4.0) is Relation.TIE
    assert relate(ours, theirs, 4.1) is Relation.BETTER
    assert relate(ours, Span(0, 1, 4.0), 4.0) is Relation.SAME


def test_run_qa_takes_the_best_window_and_ignores_logits_outside_the_context() -> None:
    _, document, _ = one_window(tokens=6)
    windows = [Window(np.zeros(8, np.int32), 3, 0), Window(np.zeros(8, np.int32), 3, 2)]
    logits = [(np.zeros(8, np.float32), np.zeros(8, np.float32)) for _ in windows]
    for part in logits[1]:
        part[:3] = part[-1] = 9  # [CLS], question, [SEP] and the last [SEP]
        part[4] = 1  # token 3 of the document
    assert best_span(document, windows, logits) == Span(6, 7, 2.0)
