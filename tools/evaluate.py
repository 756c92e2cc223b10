"""Exact match and F1 on a file in SQuAD's format, of an artifact in process or of a running server.

python -m tools.evaluate --model-dir build/demo --data models/demo/held_out.json
python -m tools.evaluate --url http://127.0.0.1:8080 --data models/demo/held_out.json
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from container import cpu
from container.precision import PRECISIONS, Precision
from model_loader.artifact import open_artifact
from model_loader.errors import ModelLoadError
from serve.features import Featurizer, WindowLimits
from serve.spans import SpanRules
from tools.errors import ToolError, run
from tools.local_model import Cutter, LocalModel
from tools.squad import Example, exact_match, f1, read_examples

# run_qa's rules: answers of at most 30 tokens, not widened to words.
RULES = SpanRules(top_k=1, max_answer_len=30, handle_impossible_answer=False, align_to_words=False)
MAX_QUESTION_LEN = 64
CLIENTS = 4
TIMEOUT_SECONDS = 120


def main() -> None:
    """Evaluate each precision, print the table, write the answers."""
    parser = argparse.ArgumentParser(
        prog="evaluate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model-dir", type=Path, help="artifact to run in this process")
    source.add_argument("--url", help="a running server, such as http://127.0.0.1:8080")
    parser.add_argument("--data", required=True, help="file in SQuAD's format")
    parser.add_argument("--precisions", default="auto", help="such as int8,fp32 (default: all that the model has)")
    parser.add_argument("--limit", type=int, help="only the first so many questions")
    parser.add_argument("--output", type=Path, help="write scores and all answers to this JSON file")
    given = parser.parse_args()
    examples = read_examples(given.data)[: given.limit]
    if not examples:
        raise ToolError(f"{given.data} holds no questions")
    wanted = parse_precisions(given.precisions)
    answered = dict(
        _from_server(given.url, wanted, examples) if given.url else _in_process(given.model_dir, wanted, examples)
    )
    scores = {precision: accuracy(examples, answers) for precision, answers in answered.items()}
    Console().print(_table(given.data, scores, answered))
    if given.output:
        report = {
            "data": given.data,
            "scores": scores,
            "answers": {p: dict(zip((e.id for e in examples), a, strict=True)) for p, a in answered.items()},
        }
        given.output.write_text(json.dumps(report, indent=1, ensure_ascii=False))


def accuracy(examples: Sequence[Example], answers: Sequence[str]) -> dict[str, float]:
    """Exact match and F1 in percent, and the number of questions."""
    pairs = list(zip(examples, answers, strict=True))
    return {
        "exact_match": 100 * sum(exact_match(answer, example.answers) for example, answer in pairs) / len(pairs),
        "f1": 100 * sum(f1(answer, example.answers) for example, answer in pairs) / len(pairs),
        "questions": len(pairs),
    }


def parse_precisions(text: str) -> tuple[Precision, ...] | None:
    """`int8,fp32` -> precisions in the order of preference; `auto` -> None.

    Raises: ToolError.
    """
    if text == "auto":
        return None
    names = [name.strip().upper() for name in text.split(",")]
    if not set(names) <= set(PRECISIONS):
        raise ToolError("--precisions takes some of int8,bf16,fp32")
    return tuple(precision for precision in PRECISIONS if precision in names)


def _in_process(
    model_dir: Path, wanted: tuple[Precision, ...] | None, examples: Sequence[Example]
) -> Iterator[tuple[Precision, list[str]]]:
    try:
        artifact = open_artifact(model_dir, wanted, cpu.detect())
        limits = WindowLimits(artifact.max_seq_len, artifact.doc_stride, MAX_QUESTION_LEN)
        cutter = Cutter(Featurizer(artifact.tokenizer_file), limits)
        for file in artifact.models:
            model = LocalModel(file, cutter)
            rows = track(examples, f"{file.precision}", transient=True)
            yield file.precision, [model.answer(example, RULES).answer for example in rows]
    except ModelLoadError as error:
        raise ToolError(str(error)) from None


def _from_server(
    url: str, wanted: tuple[Precision, ...] | None, examples: Sequence[Example]
) -> Iterator[tuple[Precision, list[str]]]:
    parameters = {"max_answer_len": RULES.max_answer_len, "align_to_words": RULES.align_to_words}

    def ask(client: httpx.Client, precision: Precision, example: Example) -> str:
        body = {
            "question": example.question,
            "context": example.context,
            "version": precision,
            "parameters": parameters,
        }
        response = client.post("/invocations", json=body)
        if response.status_code != 200:
            raise ToolError(f"{url} answered {response.status_code} to question {example.id}: {response.text}")
        answer: str = response.json()["answer"]
        return answer

    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS) as client, ThreadPoolExecutor(CLIENTS) as pool:
            for precision in wanted or client.get("/info").raise_for_status().json()["precisions"]:
                answers = pool.map(lambda example, p=precision: ask(client, p, example), examples)
                yield precision, list(track(answers, f"{precision}", total=len(examples), transient=True))
    except httpx.HTTPError as error:
        raise ToolError(f"cannot ask {url}: {error}. Is the server running?") from None


def _table(data: str, scores: dict[Precision, dict[str, float]], answered: dict[Precision, list[str]]) -> Table:
    table = Table(title=f"{data}: {len(next(iter(answered.values())))} questions")
    for column in ("precision", "EM", "F1", "F1 to FP32", "answers changed"):
        table.add_column(column, justify="left" if column == "precision" else "right")
    for precision, score in scores.items():
        compared = ["-", "-"]
        if "FP32" in scores:
            changed = sum(a != b for a, b in zip(answered[precision], answered["FP32"], strict=True))
            compared = [f"{score['f1'] - scores['FP32']['f1']:+.2f}", str(changed)]
        table.add_row(precision, f"{score['exact_match']:.2f}", f"{score['f1']:.2f}", *compared)
    return table


if __name__ == "__main__":
    run(main)
