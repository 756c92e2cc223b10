"""Our span search and run_qa's, on the same logits: do they answer alike, and what does each lose on long documents?

python -m benchmarks.spans_against_run_qa --data squad.json                  # each question to its paragraph
python -m benchmarks.spans_against_run_qa --data squad.json --whole-articles # to its article's paragraphs, joined
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from rich.progress import track

from benchmarks.run_qa import MAX_ANSWER_LEN, Span, best_span
from container import cpu
from model_loader.artifact import open_artifact
from serve.qa.features import Document, Featurizer, Window, WindowLimits
from serve.qa.spans import SpanRules, rank
from serve.qa.types import Answer
from tools.local_model import Cutter, LocalModel, Logits
from tools.squad.accuracy import accuracy
from tools.squad.examples import Example, read_articles

RULES = SpanRules(top_k=1, max_answer_len=MAX_ANSWER_LEN, handle_impossible_answer=False, align_to_words=False)
BETWEEN_PARAGRAPHS = "\n"


class Relation(StrEnum):
    """How our answer stands to run_qa's."""

    SAME = "the same span"
    BETTER = "ours scores higher: its start or end is not among run_qa's 20 best"
    TIE = "another span of the same score"
    WRONG = "ours scores lower, or has another score than its logits: a fault"


@dataclass(frozen=True)
class Compared:
    """One question under both searches."""

    example: Example
    tokens: int
    windows: int
    ours: str
    theirs: str
    relation: Relation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model-dir", type=Path, default=Path("build/demo"))
    parser.add_argument("--precision", default="INT8")
    parser.add_argument("--data", required=True, help="file in SQuAD's format")
    parser.add_argument("--whole-articles", action="store_true", help="join the paragraphs of an article")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th question only (default: all)")
    given = parser.parse_args()
    model, cutter = load(given.model_dir, given.precision)
    articles = read_articles(given.data)
    if given.whole_articles:
        articles = [joined(article) for article in articles]
    examples = [example for article in articles for example in article][:: given.every]
    found = list(compare(model, cutter, track(examples, given.precision)))
    if not found:
        raise SystemExit(f"{given.data} holds no questions")
    tokens, windows = [one.tokens for one in found], [one.windows for one in found]
    print(f"{given.precision}, {len(found)} questions")
    print(f"contexts of {np.mean(tokens):.0f} tokens and {np.mean(windows):.1f} windows, at most {max(tokens)} tokens")
    for relation, count in Counter(one.relation for one in found).most_common():
        print(f"  {count:6}  {relation}")
    for name, answers in (("ours", [one.ours for one in found]), ("run_qa", [one.theirs for one in found])):
        scores = accuracy(examples, answers)
        print(f"  {name}: exact match {scores['exact_match']:.2f}, F1 {scores['f1']:.2f}")


def load(model_dir: Path, precision: str) -> tuple[LocalModel, Cutter]:
    """A model in this process, and what cuts windows for it."""
    artifact = open_artifact(model_dir, (precision,), cpu.detect())  # type: ignore[arg-type]
    limits = WindowLimits(artifact.max_seq_len, artifact.doc_stride, 64)
    cutter = Cutter(Featurizer(artifact.tokenizer_file), limits)
    return LocalModel(artifact.models[0], cutter), cutter


def joined(article: Sequence[Example]) -> list[Example]:
    """An article's questions, each asked of all its paragraphs as one context."""
    context = BETWEEN_PARAGRAPHS.join(dict.fromkeys(example.context for example in article))
    return [replace(example, context=context) for example in article]


def compare(model: LocalModel, cutter: Cutter, examples: Iterable[Example]) -> Iterator[Compared]:
    """Both searches over the same logits, question by question."""
    for example in examples:
        document, windows = cutter.cut(example)
        logits = [model.forward(window) for window in windows]
        [ours] = rank(example.context, document, windows, logits, RULES)
        theirs = best_span(document, windows, logits)
        text = example.context[theirs.start : theirs.end] if theirs else ""
        relation = relate(ours, theirs, _best_score(ours, document, windows, logits))
        yield Compared(example, len(document.ids), len(windows), ours.answer, text, relation)


def relate(ours: Answer, theirs: Span | None, score: float | None) -> Relation:
    """score: start + end logit of our answer; None where no window holds it."""
    if theirs and (ours.start, ours.end) == (theirs.start, theirs.end):
        return Relation.SAME
    if score is None or (theirs and score < theirs.score):
        return Relation.WRONG
    return Relation.TIE if theirs and score == theirs.score else Relation.BETTER


def _best_score(
    answer: Answer, document: Document, windows: Sequence[Window], logits: Sequence[Logits]
) -> float | None:
    """Start + end logit of an answer in the window that is surest of it; None where no window holds it."""
    firsts = np.flatnonzero(document.starts == answer.start)
    lasts = np.flatnonzero(document.ends == answer.end)
    scores = []
    for window, (start, end) in zip(windows, logits, strict=True):
        shift = window.context_offset - window.first_token
        inside = range(window.first_token, window.first_token + window.context_tokens)
        scores += [
            float(start[first + shift] + end[last + shift])
            for first in firsts
            for last in lasts
            if first in inside and last in inside and 0 <= last - first < MAX_ANSWER_LEN
        ]
    return max(scores, default=None)


if __name__ == "__main__":
    main()
