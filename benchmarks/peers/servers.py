"""The peers: how each is started, its settings, and the other settings that --trials compares with them.

A setting is an environment variable. WORKERS is the number of processes, LANES the number of passes at once in each
process, and THREADS the number of threads of a pass.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.peers.converted_models import STORE
from benchmarks.peers.environments import NO_TELEMETRY, python_of
from benchmarks.server_process import server_process, wait_until, warm_server
from tools.local_server import free_port

START_SECONDS = 180
LOGS = Path("build/peers/logs")
RAY_FILES = Path("build/peers/ray")
Settings = Mapping[str, str]


@dataclass(frozen=True)
class ModelFormats:
    """Directories of one model: the Hugging Face checkpoint, our artifact, and the peers' formats."""

    checkpoint: Path
    artifact: Path
    converted: Path


@dataclass(frozen=True)
class RunningServer:
    """A server that answers questions.

    Attributes:
        path: where it takes questions.
        pid: its first process.
        warm_passes: how often it must see each length before it is warm.
    """

    url: str
    path: str
    pid: int
    warm_passes: int = 1


@dataclass(frozen=True)
class Peer:
    """A server to compare ours with.

    Attributes:
        environment: name of its requirements file and virtual environment.
        command: returns the command line for models, port and settings.
        settings: the settings that were fastest here.
        tried: the other settings that --trials compares.
        variables: returns further environment variables for the models.
        path, warm_passes: see RunningServer.
        is_ready: tells if all processes are ready, where the first answer does not tell it.
    """

    name: str
    environment: str
    command: Callable[[ModelFormats, int, Settings], list[str]]
    settings: Settings
    tried: tuple[Settings, ...] = ()
    variables: Callable[[ModelFormats], dict[str, str]] = field(default=lambda models: {})
    path: str = "/invocations"
    warm_passes: int = 1
    is_ready: Callable[[], bool] = field(default=lambda: True)


OURS = ("ours-int8", "ours-fp32")


def _uvicorn(environment: str) -> Callable[[ModelFormats, int, Settings], list[str]]:
    def command(models: ModelFormats, port: int, settings: Settings) -> list[str]:
        app = ["--factory", f"benchmarks.peers.serving.{environment}_app:create_app", "--port", str(port)]
        logging = ["--log-level", "warning", "--no-access-log"]
        return [str(python_of(environment)), "-m", "uvicorn", *app, *logging, "--workers", settings["WORKERS"]]

    return command


def _gunicorn(models: ModelFormats, port: int, settings: Settings) -> list[str]:
    app = ["benchmarks.peers.serving.article_app:create_app()", "--bind", f"127.0.0.1:{port}"]
    workers = ["--worker-class", "sync", "--workers", settings["WORKERS"], "--timeout", "120"]
    return [str(python_of("article")), "-m", "gunicorn", *app, *workers]


def _torchserve(models: ModelFormats, port: int, settings: Settings) -> list[str]:
    """Return the command, after writing the configuration file that TorchServe requires."""
    store = models.converted / STORE
    lines = ["ipex_enable=true", "disable_token_authorization=true", "async_logging=true"]
    lines += [f"cpu_launcher_enable={settings['LAUNCHER']}", f"default_workers_per_model={settings['WORKERS']}"]
    ports = {"inference": port, "management": free_port(), "metrics": free_port()}
    lines += [f"{name}_address=http://127.0.0.1:{number}" for name, number in ports.items()]
    lines += [f"grpc_{name}_port={free_port()}" for name in ("inference", "management")]
    configuration = store.with_suffix(".properties")
    configuration.write_text("\n".join(lines) + "\n")
    binary = python_of("torchserve").with_name("torchserve")
    where = ["--model-store", str(store), "--models", "qa=qa", "--ts-config", str(configuration)]
    return [str(python_of("torchserve")), str(binary), "--start", "--foreground", "--ncs", *where]


def _ray(models: ModelFormats, port: int, settings: Settings) -> list[str]:
    return [str(python_of("ray")), "-m", "benchmarks.peers.serving.ray_server", str(port)]


def _onnx(precision: str) -> Callable[[ModelFormats], dict[str, str]]:
    return lambda models: {"MODEL": str(models.converted / f"onnxruntime_{precision}.onnx")}


TWO_LANES = {"WORKERS": "1", "LANES": "2", "THREADS": "1"}
WIDE = {"WORKERS": "1", "LANES": "1", "THREADS": "2"}
TWO_PROCESSES = {"WORKERS": "2", "LANES": "1", "THREADS": "1"}
THROUGHPUT = {"WORKERS": "1", "OV_PERFORMANCE_HINT": "THROUGHPUT", "OV_INFERENCE_PRECISION_HINT": "bf16"}
REPLICAS = {"WORKERS": "2", "THREADS": "1", "ONGOING": "5", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "ADAPTER": "false"}

PEERS = (
    Peer("article", "article", _gunicorn, {"WORKERS": "2", "THREADS": "1"}, ({"WORKERS": "1", "THREADS": "2"},)),
    Peer("transformers", "transformers", _uvicorn("transformers"), TWO_LANES, (WIDE, TWO_PROCESSES)),
    Peer("onnxruntime", "onnxruntime", _uvicorn("onnxruntime"), TWO_LANES, (WIDE, TWO_PROCESSES), _onnx("int8")),
    Peer("onnxruntime-fp32", "onnxruntime", _uvicorn("onnxruntime"), TWO_LANES, (WIDE, TWO_PROCESSES), _onnx("fp32")),
    Peer(
        "openvino",
        "openvino",
        _uvicorn("openvino"),
        THROUGHPUT,
        (
            THROUGHPUT | {"OV_INFERENCE_PRECISION_HINT": "f32"},
            THROUGHPUT | {"OV_NUM_STREAMS": "1"},
            THROUGHPUT | {"OV_PERFORMANCE_HINT": "LATENCY"},
            THROUGHPUT | {"WORKERS": "2", "OV_INFERENCE_NUM_THREADS": "1", "OV_ENABLE_CPU_PINNING": "NO"},
        ),
        lambda models: {"MODEL": str(models.converted / "openvino_int8.xml")},
        warm_passes=5,  # Each stream compiles each length. With fewer passes it was up to a quarter slower.
    ),
    Peer(
        "torchserve",
        "torchserve",
        _torchserve,
        {"WORKERS": "2", "THREADS": "1", "LAUNCHER": "true"},
        ({"WORKERS": "2", "THREADS": "1", "LAUNCHER": "false"}, {"WORKERS": "1", "THREADS": "2", "LAUNCHER": "true"}),
        path="/predictions/qa",
    ),
    Peer(
        "ray",
        "ray",
        _ray,
        REPLICAS,
        (
            REPLICAS | {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "0"},
            REPLICAS | {"ONGOING": "2"},
            REPLICAS | {"ONGOING": "1"},
            REPLICAS | {"WORKERS": "1", "THREADS": "2"},
            REPLICAS | {"ADAPTER": "true"},
        ),
        # On Linux, Ray would listen on the machine's own address. With this variable it does as on other systems, and
        # listens on 127.0.0.1.
        lambda models: {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "FILES": str(RAY_FILES.absolute())},
        is_ready=lambda: (RAY_FILES / "ready").is_file(),
    ),
)


@contextmanager
def ours(name: str, models: ModelFormats) -> Iterator[RunningServer]:
    """Run our server with one precision; the block starts when its whole ladder is warm."""
    LOGS.mkdir(parents=True, exist_ok=True)
    precision = {"PRECISIONS": name.removeprefix("ours-").upper()}
    with warm_server(models.artifact, precision, LOGS / f"{name}.log") as server:
        yield RunningServer(server.url, "/invocations", server.process.pid)


@contextmanager
def running(peer: Peer, models: ModelFormats, settings: Settings, question: bytes) -> Iterator[RunningServer]:
    """Run a peer; the block starts when the peer has answered the question."""
    port, log = free_port(), LOGS / f"{peer.name}.log"
    command = peer.command(models, port, settings)
    environment = {**_environment(peer, models), **peer.variables(models), **settings}
    if "THREADS" in settings:
        environment["OMP_NUM_THREADS"] = settings["THREADS"]
    with server_process(command, environment, log) as process:
        server = RunningServer(f"http://127.0.0.1:{port}", peer.path, process.pid, peer.warm_passes)
        wait_until(lambda: _answers(server, question) and peer.is_ready(), process, log, START_SECONDS)
        yield server


def _environment(peer: Peer, models: ModelFormats) -> dict[str, str]:
    directory = python_of(peer.environment).parents[1].absolute()
    logs = str(LOGS.absolute())
    return {
        **NO_TELEMETRY,
        "PATH": f"{directory / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path.cwd()),
        "VIRTUAL_ENV": str(directory),  # TorchServe's launcher looks for libiomp5.so there.
        "CHECKPOINT": str(models.checkpoint.absolute()),
        "ARTIFACT": str(models.artifact.absolute()),
        "LOG_LOCATION": logs,  # TorchServe reads this variable and the next.
        "METRICS_LOCATION": logs,
    }


def _answers(server: RunningServer, question: bytes) -> bool:
    headers = {"Content-Type": "application/json"}
    response = httpx.post(server.url + server.path, content=question, headers=headers, timeout=60)
    return response.status_code == httpx.codes.OK
