"""Compare our span search with run_qa's on the same logits: the answers, and the accuracy on long documents.

python -m benchmarks.answers.spans_against_run_qa --data squad.json                   # each question, its paragraph
python -m benchmarks.answers.spans_against_run_qa --data squad.json --whole-articles  # each question, its article
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from rich.progress import track

from benchmarks import traffic
from benchmarks.answers.run_qa import MAX_ANSWER_LEN, Span, best_span
from benchmarks.arguments import DEMO, add_precision, benchmark_parser
from container import cpu
from container.precision import Precision
from model_loader.artifact import open_artifact
from serve.qa.document import Document
from serve.qa.features import Window
from serve.qa.spans import SpanRules, rank
from serve.qa.types import Answer
from tools.errors import ToolError, run
from tools.local_model import Cutter, LocalModel, Logits
from tools.squad.accuracy import accuracy
from tools.squad.examples import Example, read_articles

RULES = SpanRules(top_k=1, max_answer_len=MAX_ANSWER_LEN, handle_impossible_answer=False, align_to_words=False)
BETWEEN_PARAGRAPHS = "\n"


class Relation(StrEnum):
    """How our answer compares with run_qa's."""

    SAME = "the same span"
    BETTER = "our span has the higher score: its start or its end is not among run_qa's 20 best"
    TIE = "another span with the same score"
    WRONG = "our span has the lower score, or a score that its logits do not give: a bug"


@dataclass(frozen=True)
class Compared:
    """One question, answered by both searches."""

    example: Example
    tokens: int
    windows: int
    ours: str
    theirs: str
    relation: Relation


def main() -> None:
    """Compare the two searches on a file and print the counts and the accuracy of both."""
    parser = benchmark_parser(__doc__, model_dir=DEMO)
    add_precision(parser)
    parser.add_argument("--data", required=True, help="questions in SQuAD's format")
    parser.add_argument("--whole-articles", action="store_true", help="join the paragraphs of each article")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth question only (default: 1)")
    given = parser.parse_args()
    model, cutter = load(given.model_dir, given.precision)
    articles = read_articles(given.data)
    if given.whole_articles:
        articles = [joined(article) for article in articles]
    examples = [example for article in articles for example in article][:: given.every]
    if not examples:
        raise ToolError(f"{given.data} holds no questions")
    compared = list(compare(model, cutter, track(examples, given.precision)))
    tokens, windows = [one.tokens for one in compared], [one.windows for one in compared]
    print(f"{given.precision}, {len(compared)} questions")
    print(
        f"contexts: mean {np.mean(tokens):.0f} tokens and {np.mean(windows):.1f} windows, at most {max(tokens)} tokens"
    )
    for relation, count in Counter(one.relation for one in compared).most_common():
        print(f"  {count:6}  {relation}")
    for name, answers in (("ours", [one.ours for one in compared]), ("run_qa", [one.theirs for one in compared])):
        scores = accuracy(examples, answers)
        print(f"  {name}: exact match {scores['exact_match']:.2f}, F1 {scores['f1']:.2f}")


def load(model_dir: Path, precision: Precision) -> tuple[LocalModel, Cutter]:
    """Load a model into this process; return the model and its cutter."""
    artifact = open_artifact(model_dir, (precision,), cpu.detect())
    cutter = traffic.open_cutter(artifact)
    return LocalModel(artifact.models[0], cutter), cutter


def joined(article: Sequence[Example]) -> list[Example]:
    """Return the questions of an article, each with all paragraphs of the article as its context."""
    context = BETWEEN_PARAGRAPHS.join(dict.fromkeys(example.context for example in article))
    return [replace(example, context=context) for example in article]


def compare(model: LocalModel, cutter: Cutter, examples: Iterable[Example]) -> Iterator[Compared]:
    """Run both searches on the same logits, one question after the other."""
    for example in examples:
        document, windows = cutter.cut(example)
        logits = [model.forward(window) for window in windows]
        [ours] = rank(example.context, document, windows, logits, RULES)
        theirs = best_span(document, windows, logits)
        text = example.context[theirs.start : theirs.end] if theirs else ""
        relation = relate(ours, theirs, _best_score(ours, document, windows, logits))
        yield Compared(example, len(document), len(windows), ours.answer, text, relation)


def relate(ours: Answer, theirs: Span | None, score: float | None) -> Relation:
    """Classify a pair of answers.

    Args:
        ours: our answer.
        theirs: run_qa's answer; None if run_qa found no span.
        score: start logit + end logit of our answer; None if no window holds our answer.
    """
    if theirs and (ours.start, ours.end) == (theirs.start, theirs.end):
        return Relation.SAME
    if score is None or (theirs and score < theirs.score):
        return Relation.WRONG
    return Relation.TIE if theirs and score == theirs.score else Relation.BETTER


def _best_score(
    answer: Answer, document: Document, windows: Sequence[Window], logits: Sequence[Logits]
) -> float | None:
    """Return the highest start logit + end logit that a window gives an answer; None if no window holds the answer."""
    firsts = np.flatnonzero(document.whole.starts == answer.start)
    lasts = np.flatnonzero(document.whole.ends == answer.end)
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
    run(main)
