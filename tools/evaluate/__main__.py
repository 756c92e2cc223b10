"""Exact match and F1 of each precision by SQuAD's official rules, for an artifact, a server or an endpoint.

    python -m tools.evaluate --model-dir build/demo --data models/demo/held_out.json
    python -m tools.evaluate --url http://127.0.0.1:8080 --data models/demo/held_out.json
    python -m tools.evaluate --endpoint bert-qa --data models/demo/held_out.json
    python -m tools.evaluate --model-dir build/demo --data my-questions.json --calibrate
    python -m tools.evaluate --model-dir build/demo --data my-questions.csv --against models/demo

Questions of more than 64 tokens are cut, as in the scripts that SQuAD's published scores come from.
If the file has questions without an answer, it is scored by SQuAD v2.0's rules, else by v1.1's.
The brackets are the 95 % interval of the difference from FP32 (paired bootstrap), or of the calibration error.
After an interruption, the same command continues where it stopped.
"""

import argparse
import sys

from rich.console import Console

from model_loader import manifest
from model_loader.errors import ModelLoadError
from tools.answers.artifact import ArtifactSource
from tools.answers.endpoint import EndpointSource
from tools.answers.server import ServerSource
from tools.answers.source import AnswerSource
from tools.arguments import parse_precisions
from tools.errors import ToolError, run
from tools.evaluate.arguments import parse_arguments
from tools.evaluate.asking import ask, open_journals
from tools.evaluate.calibration import MIN_QUESTIONS, calibrate
from tools.evaluate.evaluation import Evaluation
from tools.evaluate.questions import QuestionSet, read_questions, read_questions_alone
from tools.evaluate.report import write_changed, write_report
from tools.evaluate.tables import tables
from tools.fingerprint import summary_line, take_fingerprint
from tools.remote.client import EndpointClient
from tools.squad.question_limit import QuestionLimit
from tools.squad.question_tally import counted


def main() -> None:
    """Score the answers, or compare them with those of transformers' pipeline."""
    given = parse_arguments(sys.argv[1:], __doc__)
    if given.against:
        from tools.evaluate.against.compare import compare  # transformers takes seconds to import

        compare(
            given,
            sys.argv[1:],
            read_questions_alone(given.data, given.limit, given.max_answer_len),
            _open_source(given),
        )
        return
    _score(given)


def _score(given: argparse.Namespace) -> None:
    """Ask the questions, compare the answers with the gold answers, write the report, and print the tables."""
    questions = read_questions(given.data, given.limit)
    _check_enough(given, questions)
    console = Console(highlight=False)
    source = _open_source(given)
    with open_journals(given.journal, source, questions) as journals:
        answers = ask(source, journals, questions, console)
        evaluation = Evaluation(questions.examples, answers, questions.is_v2)
        fingerprint = take_fingerprint(source.info(), __package__, sys.argv[1:])
        write_report(given.output, questions, evaluation, fingerprint)
        write_changed(given.changed, evaluation)
        title = f"{fingerprint['server']['model']['name']}, {questions.name}: "
        title += f"{counted(len(questions.examples), 'question')}, {questions.metric}"
        if given.plot:
            from tools.evaluate import reliability_plot  # matplotlib takes a second to import

            reliability_plot.draw(given.plot, title, evaluation.reliability)
        notes = _save_threshold(given, source, questions, evaluation) if given.save_no_answer_threshold else []
        if given.calibrate and isinstance(source, ArtifactSource):
            notes.append(calibrate(given.model_dir, source, questions, console))
        for journal in journals.values():
            journal.remove()
    for table in tables(title, evaluation):
        console.print(table)
    for note in [*source.question_limit.notes(), *notes]:
        console.print(note, soft_wrap=True)
    console.print(summary_line(fingerprint), soft_wrap=True)


def _check_enough(given: argparse.Namespace, questions: QuestionSet) -> None:
    """Check that the questions suffice for what will be stored in the manifest, before they are asked.

    Raises: ToolError.
    """
    if given.save_no_answer_threshold and not questions.is_v2:
        raise ToolError(f"{questions.name} has no question without an answer, so it says nothing about a threshold")
    if given.calibrate and len(questions.examples) < MIN_QUESTIONS:
        raise ToolError(
            f"--calibrate needs at least {MIN_QUESTIONS} questions, and {len(questions.examples)} of "
            f"{questions.name} would be asked"
        )
    if given.save_no_answer_threshold and given.calibrate:
        raise ToolError(
            "a calibration is fitted with the threshold 0. Run evaluate with --save-no-answer-threshold first, and "
            "with --calibrate afterwards if you want both"
        )


def _save_threshold(
    given: argparse.Namespace, source: AnswerSource, questions: QuestionSet, evaluation: Evaluation
) -> list[str]:
    """Store the threshold with the best F1 in the manifest; return a line about it.

    Raises: ToolError.
    """
    precision = source.precisions[0]  # the fastest, which answers by default
    threshold = evaluation.best_thresholds[precision].best_f1_thresh
    try:
        manifest.update(given.model_dir, {"no_answer_threshold": threshold})
    except ModelLoadError as error:
        raise ToolError(str(error)) from None
    return [f"no_answer_threshold is {threshold:.4f} in {given.model_dir} now, the best for {precision}'s F1"]


def _open_source(given: argparse.Namespace) -> AnswerSource:
    wanted = parse_precisions(given.precisions)
    if given.url:
        return ServerSource(given.url, wanted, QuestionLimit(given.max_question_len))
    if given.endpoint:
        return EndpointSource(
            EndpointClient(given.endpoint, given.region), wanted, QuestionLimit(given.max_question_len)
        )
    return ArtifactSource(given.model_dir, wanted, given.max_question_len)


if __name__ == "__main__":
    run(main)
