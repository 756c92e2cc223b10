"""The command line of invoke."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from container.precision import PRECISIONS
from tools.arguments import add_limit, add_source, command_parser, whole_number

DEFAULT_URL = "http://127.0.0.1:8080"


def parse_arguments(arguments: Sequence[str], description: str | None) -> argparse.Namespace:
    """Read the command line. The process ends with a message if it makes no sense."""
    parser = command_parser("invoke", description)
    add = parser.add_argument
    questions = parser.add_mutually_exclusive_group(required=True)
    questions.add_argument("--question", help="one question; give --context or --context-file with it")
    questions.add_argument(
        "--data",
        metavar="FILE",
        help="questions in SQuAD's format, or a part of SQuAD, such as squad:validation; or .csv or .jsonl with the\n"
        "fields question and context, and id if you like",
    )
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--context", help="the text that answers the question; - reads the standard input")
    text.add_argument(
        "--context-file", type=Path, metavar="FILE", help="a file with that text, in UTF-8; it is sent as it is"
    )
    add_source(parser, default_url=DEFAULT_URL)
    add(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="the first line of this file is the API key of the server at --url (default: no key is sent)",
    )
    add("--variant", help="the endpoint's variant to ask (default: chosen by the traffic's weights)")
    add(
        "--async",
        dest="async_folder",
        nargs="?",
        const="",
        metavar="S3_URI",
        help="the endpoint is asynchronous: store each question in this folder of S3, such as s3://bucket/folder, and\n"
        "wait for its answer (default: a folder below the endpoint's results); nothing is deleted afterwards",
    )
    add(
        "--target-model",
        default="",
        metavar="NAME",
        help="the artifact to ask on a multi-model endpoint, such as demo-0123456789ab.tar.gz",
    )
    add("--precision", type=str.upper, choices=PRECISIONS, help="the precision to ask for (default: the fastest)")
    add("--top-k", type=whole_number, default=1, metavar="N", help="how many answers to return (default: 1)")
    add_limit(parser)
    add("--json", action="store_true", help="print each response as one line of JSON")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write the answers of --data to this file, .jsonl or .csv; a run that was interrupted goes on where it\n"
        "stopped if the command is repeated",
    )
    given = parser.parse_args(arguments)
    if given.question is not None and given.context is None and given.context_file is None:
        parser.error("--question needs --context or --context-file")
    if given.async_folder is not None and (given.variant or given.target_model or not given.endpoint):
        parser.error("--async needs --endpoint, and neither --variant nor --target-model")
    if given.api_key_file is not None and given.endpoint:
        parser.error("--api-key-file is for a server at --url; an endpoint authenticates its callers itself")
    if given.output and (not given.data or given.json):
        parser.error("--output needs --data, and no --json: the name of the file says what it contains")
    if given.target_model and not given.endpoint:
        parser.error("--target-model needs --endpoint, because only an endpoint of SageMaker has several artifacts")
    return given
