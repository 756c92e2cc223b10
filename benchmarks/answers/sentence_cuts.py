"""Compare libraries that cut texts into sentences: by the answers that they cut, and by their time on hostile texts.

python -m benchmarks.answers.sentence_cuts --data squad:train

An answer should lie in one sentence. sentencex and pysbd are compared if they are installed; the server needs neither.
"""

import importlib
import time
from argparse import ArgumentParser, RawTextHelpFormatter
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from icu4py.breakers import SentenceBreaker

from benchmarks.arguments import HELD_OUT
from serve.qa.highlight.sentences import sentence_ends
from tools.errors import run
from tools.squad.examples import iterate_squad_file
from tools.squad.named_sets import path_of

Ends = Callable[[str], list[int]]
Paragraph = tuple[str, list[tuple[int, int]]]  # the context, and where the first gold answer to each question lies

HOSTILE = {"quotes": "“a. ", "initials": "A. ", "lines": "a\n", "spaces": " ", "no spaces": "x", "Japanese": "は。"}
SHORT, LONG = 20_000, 160_000  # characters


def main() -> None:
    """Print a line for each library."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawTextHelpFormatter)
    parser.add_argument("--data", default=HELD_OUT, help=f"questions in SQuAD's format (default: {HELD_OUT})")
    given = parser.parse_args()
    paragraphs = list(iterate_squad_file(path_of(given.data), answers_of))
    for name, ends_of in libraries().items():
        start = time.perf_counter()
        ends = [ends_of(context) for context, _ in paragraphs]
        ms = (time.perf_counter() - start) * 1000 / len(paragraphs)
        places = [(each, place) for each, (_, found) in zip(ends, paragraphs, strict=True) for place in found]
        cut = sum(each[bisect_right(each, begin)] < end for each, (begin, end) in places)
        print(f"{name}: {sum(map(len, ends))} sentences, {cut} of {len(places)} answers cut, {ms:.3f} ms a context")
        print("   " + ", ".join(f"{unit} {milliseconds(ends_of, text)}" for unit, text in HOSTILE.items()))


def answers_of(article: dict[str, Any]) -> Iterator[Paragraph]:
    """Yield the paragraphs of an article."""
    for paragraph in article["paragraphs"]:
        answers = [qa["answers"][0] for qa in paragraph["qas"] if qa["answers"]]
        yield (
            paragraph["context"],
            [(one["answer_start"], one["answer_start"] + len(one["text"])) for one in answers],
        )


def libraries() -> dict[str, Ends]:
    """Return the ways to cut a text that are installed."""
    found: dict[str, Ends] = {
        "server": lambda text: [int(end) for part in sentence_ends(text) for end in part],
        "ICU": lambda text: list(accumulate(map(len, SentenceBreaker(text, "en")))),
        "ICU with suppressions": lambda text: list(accumulate(map(len, SentenceBreaker(text, "en@ss=standard")))),
    }
    if sentencex := _installed("sentencex"):
        found["sentencex"] = lambda text: [each["end_index"] for each in sentencex.get_sentence_boundaries("en", text)]
    if pysbd := _installed("pysbd"):
        segmenter = pysbd.Segmenter(language="en", clean=False, char_span=True)
        found["pysbd"] = lambda text: [span.end for span in segmenter.segment(text)]
    return found


def milliseconds(ends_of: Ends, unit: str) -> str:
    """Return how long a short and a long text of nothing but one unit take."""
    times = []
    for chars in (SHORT, LONG):
        text = unit * (chars // len(unit))
        start = time.perf_counter()
        ends_of(text)
        times.append((time.perf_counter() - start) * 1000)
    return " and ".join(f"{each:.1f}" for each in times)


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


if __name__ == "__main__":
    run(main)
