"""The benchmark against a real server: its tables, its JSON, its plots, its arithmetic and its errors."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import matplotlib.image
import numpy as np
import psutil
import pytest

from tests.aws.aws_account import REGION
from tools.answers.endpoint import EndpointSource
from tools.benchmark.arguments import parse
from tools.benchmark.plots import draw
from tools.local_server import PROGRAM_DIR, LocalServer, free_port
from tools.remote.client import EndpointClient
from tools.remote.instance_prices import DEFAULT_INSTANCE

BODY = json.dumps({"question": "Who built it?", "context": "Zoë Müller built it."}).encode()


def benchmark(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.benchmark", *map(str, arguments)],
        cwd=PROGRAM_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# The whole tool, once


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmark") / "made" / "by" / "the tool"


@pytest.fixture(scope="module")
def printed(server: LocalServer, output: Path) -> str:
    """What a short run of everything prints; its files are in `output`."""
    done = benchmark("--url", server.url, "--clients", "1,3", "--load", "0.5", "--requests", "12", "--output", output)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report(printed: str, output: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((output / "benchmark.json").read_text())
    return content


def test_each_precision_is_measured_under_each_load_fp32_first(report: dict[str, Any]) -> None:
    measured_loads = [(row["precision"], row["clients"], row["share_of_saturation"]) for row in report["rows"]]
    assert measured_loads == [
        *(("FP32", 1, None), ("INT8", 1, None)),
        *(("FP32", 3, None), ("INT8", 3, None)),
        *(("FP32", None, 0.5), ("INT8", None, 0.5)),
    ]


def test_figures_agree_with_the_latencies_they_come_from(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        assert row["requests"] == len(row["latencies_ms"]) == 12
        assert (row["refused"], row["errors"]) == (0, {})
        assert row["p50_ms"] == pytest.approx(np.percentile(row["latencies_ms"], 50), abs=0.01)
        assert row["p90_ms"] == pytest.approx(np.percentile(row["latencies_ms"], 90), abs=0.01)
        assert row["p99_ms"] == pytest.approx(np.percentile(row["latencies_ms"], 99), abs=0.01)
        assert row["queries_per_second"] == pytest.approx(12 / row["seconds"])
        assert len(row["turns"]) == 2


def test_an_open_loop_offers_its_share_of_the_best_closed_loop(report: dict[str, Any]) -> None:
    for precision in ("FP32", "INT8"):
        of_precision = [row for row in report["rows"] if row["precision"] == precision]
        best = max(row["queries_per_second"] for row in of_precision if row["clients"])
        assert of_precision[-1]["offered_per_second"] == pytest.approx(best / 2)
        assert of_precision[-1]["sent_late_p99_ms"] >= 0
        assert of_precision[-1]["dollars_per_million"] is None


def test_the_servers_processes_are_measured(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        assert 0 < row["server_cores"] <= psutil.cpu_count() + 0.5
        assert row["server_memory_bytes"] > 100e6  # torch alone takes more
        assert 0 < row["generator_cores"] < 1


def test_the_fingerprint_tells_what_was_measured(report: dict[str, Any], server: LocalServer, output: Path) -> None:
    of = report["fingerprint"]
    info = server.info()
    assert of["cpu"]["model"] == info["cpu"]["model"]
    assert of["cpu"]["isa"] == info["cpu"]["isa"]
    assert of["cpu"]["cores"] == len({core for lane in info["lanes"] for core in lane["cores"]})
    assert of["versions"] == info["versions"]
    assert of["server"]["model"]["name"] == info["model"]["name"]
    assert of["generator"]["aiohttp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", of["date"])
    assert of["command"].startswith(f"python -m tools.benchmark --url {server.url} --clients 1,3")
    assert f"'{output}'" in of["command"]  # quoted, since it has spaces
    if (PROGRAM_DIR / ".git").exists():
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", of["commit"])
    assert report["data"] == {"name": "held_out.json", "questions": 196}
    assert report["price"]["instance"] == DEFAULT_INSTANCE
    assert report["price"]["is_default"] is True


def test_the_tables_show_the_figures(printed: str, report: dict[str, Any]) -> None:
    for title in ("closed loop, 1 client", "closed loop, 3 clients", "open loop, Poisson arrivals"):
        assert title in printed
    for row in report["rows"]:
        assert f"{row['p50_ms']:.{0 if row['p50_ms'] >= 100 else 1}f}" in printed
    assert f"{report['rows'][1]['relative_performance_per_dollar']:.2f}" in printed
    assert "…" not in printed  # nothing is cut off on a terminal of 80 columns
    assert "$0.408 an hour, ml.c6i.2xlarge" in printed
    assert "not the price of the machine measured" in printed
    assert report["fingerprint"]["cpu"]["model"] in printed


@pytest.mark.parametrize("name", ["latency_by_load.png", "latency_distribution.png"])
def test_plots_are_drawn(name: str, printed: str, output: Path) -> None:
    picture = matplotlib.image.imread(output / name)
    assert picture.shape[:2] == (750, 1200)
    colours = {tuple((255 * pixel[:3]).astype(int)) for pixel in picture.reshape(-1, 4)}
    assert {(196, 78, 82), (31, 119, 180)} <= colours  # FP32's line and INT8's
    assert name in printed


def test_the_report_is_enough_to_draw_the_plots_again(
    report: dict[str, Any], printed: str, output: Path, tmp_path: Path
) -> None:
    for again in draw(report, tmp_path):
        drawn = (matplotlib.image.imread(path) for path in (again, output / again.name))
        assert np.array_equal(*drawn)


def test_a_server_of_its_own_is_started_and_stopped(demo_dir: Path, tmp_path: Path) -> None:
    done = benchmark(
        *("--model-dir", demo_dir, "--precisions", "int8", "--clients", 1, "--load", "none", "--requests", 4),
        *("--dollars-per-hour", 3.6, "--output", tmp_path),
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    assert row["dollars_per_million"] == pytest.approx(1e6 * 3.6 / 3600 / row["queries_per_second"])
    assert row["relative_performance_per_dollar"] == 1
    assert "$3.6 an hour, as given" in done.stdout
    assert "default" not in done.stdout
    assert not (tmp_path / "latency_by_load.png").exists()  # nothing to draw there without an open loop
    log = (tmp_path / "server.log").read_text()
    assert log.count('"message":"invocation"') == 1 + 4  # one to see that it answers, and the load


# A SageMaker endpoint: its API on localhost in front of the real server, its description in moto


@pytest.fixture
def endpoint(account: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an endpoint of two ml.c5.2xlarge, in one variant, which is named INT8."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    client = boto3.client("sagemaker")
    role, image = "arn:aws:iam::123456789012:role/x", {"Image": "x", "ModelDataUrl": "s3://x/model.tar.gz"}
    client.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=image)
    variant = {"VariantName": "INT8", "ModelName": "m", "InstanceType": "ml.c5.2xlarge", "InitialInstanceCount": 2}
    client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    client.create_endpoint(EndpointName="bert-qa", EndpointConfigName="c")
    yield "bert-qa"
    client.close()


def test_an_endpoint_is_measured_at_the_price_of_its_instances(endpoint: str, tmp_path: Path) -> None:
    done = benchmark("--endpoint", endpoint, "--load", "none", "--requests", 8, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "benchmark.json").read_text())
    assert [(row["precision"], row["clients"]) for row in report["rows"]] == [
        *(("FP32", 1), ("INT8", 1)),
        *(("FP32", 16), ("INT8", 16)),  # two for each of two instances' four cores
    ]
    for row in report["rows"]:
        assert (row["refused"], row["errors"]) == (0, {})
        assert row["dollars_per_million"] == pytest.approx(1e6 * 2 * 0.408 / 3600 / row["queries_per_second"])
    assert "$0.408 an hour, ml.c5.2xlarge in us-east-1" in done.stdout
    assert "2 instances" in done.stdout


def test_a_variant_that_is_named_as_a_precision_is_asked_for_it(endpoint: str) -> None:
    source = EndpointSource(EndpointClient(endpoint), None)
    assert {precision: one.variant for precision, one in source.endpoints.items()} == {"INT8": "INT8", "FP32": None}
    assert (source.instance_type, source.instances) == ("ml.c5.2xlarge", 2)


def test_requests_are_signed_for_the_endpoints_region(endpoint: str) -> None:
    int8 = EndpointClient(endpoint).for_variant("INT8")
    url = f"{int8.url}/invocations"
    headers = int8.headers(url, BODY)
    assert "/eu-west-1/sagemaker/aws4_request, SignedHeaders=" in headers["Authorization"]
    assert headers["X-Amzn-SageMaker-Target-Variant"] == "INT8"
    answer = httpx.post(url, content=BODY, headers=dict(headers))
    assert answer.json()["answer"] == "Zoë Müller"
    assert answer.headers["x-amzn-invoked-production-variant"] == "INT8"
    assert httpx.post(url, content=BODY).status_code == 403


def test_a_busy_endpoint_refuses_and_a_wrong_question_is_the_containers_error() -> None:
    endpoint = EndpointClient("bert-qa", "eu-west-1")
    of = {status: json.dumps({"OriginalStatusCode": status}).encode() for status in (429, 422, 0)}
    assert [endpoint.status(424, body) for body in of.values()] == [429, 422, 424]
    assert endpoint.status(400, b"{}") == 400
    assert endpoint.status(424, b"no JSON") == 424


# What cannot be measured


def test_what_cannot_be_measured_is_said_in_a_line(server: LocalServer, tmp_path: Path) -> None:
    empty, broken, file = tmp_path / "empty.json", tmp_path / "broken.json", tmp_path / "file"
    empty.write_text('{"data": []}')
    broken.write_text("{")
    file.write_text("")
    for arguments, message in (
        (["--url", f"http://127.0.0.1:{free_port()}"], "Is the server running?"),
        (["--url", f"{server.url}/docs"], "is another server running there?"),
        (["--url", server.url, "--precisions", "bf16"], "the server has no BF16: it serves INT8, FP32"),
        (["--url", server.url, "--precisions", "int4"], "--precisions takes some of"),
        (["--url", server.url, "--data", empty], "holds no questions"),
        (["--url", server.url, "--data", broken], "is not in SQuAD's format"),
        (["--url", server.url, "--data", tmp_path / "missing.json"], "cannot read"),
        (["--url", server.url, "--instance", "ml.x9.huge"], "no price is known for ml.x9.huge"),
        (["--url", server.url, "--output", file / "below"], "Name another directory with --output"),
        (["--model-dir", tmp_path / "missing"], "exit code"),
    ):
        output = [] if "--output" in arguments else ["--output", tmp_path / "output"]
        done = benchmark(*arguments, *output)
        assert done.returncode == 1, arguments
        assert message in done.stderr, arguments
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--model-dir --url --endpoint is required"),
        (["--rates", "5,-1"], "'5,-1' is no list of numbers above 0"),
        (["--rates", "fast"], "'fast' is no list of numbers"),
        (["--rates", "nan"], "'nan' is no list of numbers"),
        (["--rates", "1e9"], "up to 5,000"),
        (["--rates", "5", "--load", "0.5"], "not allowed with"),
        (["--load", "0"], "'0' is no list of numbers above 0"),
        (["--clients", "1,2.5"], "no list of whole numbers"),
        (["--clients", "4", "--requests", "3"], "--requests must be at least --clients"),
        (["--seconds", "-3"], "'-3' is no number above 0"),
        (["--requests", "1.5"], "'1.5' is no whole number"),
        (["--dollars-per-hour", "free"], "'free' is no number above 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([*(["--url", "http://localhost"] if arguments else []), *arguments], None)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
