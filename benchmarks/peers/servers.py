"""The peers: how each is started, with the settings that were best here, and those that were tried beside them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.peers.conversion import STORE
from benchmarks.peers.environments import python_of
from tools.errors import ToolError
from tools.local_server import LocalServer, free_port

START_SECONDS = 180
STOP_SECONDS = 20
WARM_SECONDS = 600
LOGS = Path("build/peers/logs")
Settings = Mapping[str, str]


@dataclass(frozen=True)
class Models:
    """One model in all formats."""

    checkpoint: Path  # Hugging Face's
    artifact: Path  # ours
    converted: Path  # the peers'


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    url: str
    path: str
    pid: int
    warm_passes: int = 1  # over one question of each length


@dataclass(frozen=True)
class Peer:
    """A server to compare. Settings are environment variables; WORKERS: processes, LANES: passes at once in each,
    THREADS: of a pass."""

    name: str
    environment: str
    command: Callable[[Models, int, Settings], list[str]]
    settings: Settings
    tried: tuple[Settings, ...] = ()  # the alternatives of --trials
    variables: Callable[[Models], dict[str, str]] = field(default=lambda models: {})
    path: str = "/invocations"
    warm_passes: int = 1


OURS = ("ours-int8", "ours-fp32")


def _uvicorn(environment: str) -> Callable[[Models, int, Settings], list[str]]:
    def command(models: Models, port: int, settings: Settings) -> list[str]:
        app = ["--factory", f"benchmarks.peers.serve_{environment}:create_app", "--port", str(port)]
        logging = ["--log-level", "warning", "--no-access-log"]
        return [str(python_of(environment)), "-m", "uvicorn", *app, *logging, "--workers", settings["WORKERS"]]

    return command


def _gunicorn(models: Models, port: int, settings: Settings) -> list[str]:
    app = ["benchmarks.peers.serve_article:create_app()", "--bind", f"127.0.0.1:{port}"]
    how = ["--worker-class", "sync", "--workers", settings["WORKERS"], "--timeout", "120"]
    return [str(python_of("article")), "-m", "gunicorn", *app, *how]


def _torchserve(models: Models, port: int, settings: Settings) -> list[str]:
    """Writes the configuration, which TorchServe wants in a file: two settings of its page on IPEX, and ports."""
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


def _onnx(precision: str) -> Callable[[Models], dict[str, str]]:
    return lambda models: {"MODEL": str(models.converted / f"onnxruntime_{precision}.onnx")}


TWO_LANES = {"WORKERS": "1", "LANES": "2", "THREADS": "1"}
WIDE = {"WORKERS": "1", "LANES": "1", "THREADS": "2"}
TWO_PROCESSES = {"WORKERS": "2", "LANES": "1", "THREADS": "1"}
THROUGHPUT = {"WORKERS": "1", "OV_PERFORMANCE_HINT": "THROUGHPUT", "OV_INFERENCE_PRECISION_HINT": "bf16"}

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
        warm_passes=5,  # each of its streams compiles each length; with fewer passes it was up to a quarter slower
    ),
    Peer(
        "torchserve",
        "torchserve",
        _torchserve,
        {"WORKERS": "2", "THREADS": "1", "LAUNCHER": "true"},
        ({"WORKERS": "2", "THREADS": "1", "LAUNCHER": "false"}, {"WORKERS": "1", "THREADS": "2", "LAUNCHER": "true"}),
        path="/predictions/qa",
    ),
)


@contextmanager
def ours(name: str, models: Models) -> Iterator[Running]:
    """Our server with one precision, its whole ladder warm."""
    LOGS.mkdir(parents=True, exist_ok=True)
    precision = {"PRECISIONS": name.removeprefix("ours-").upper()}
    with LocalServer(models.artifact, precision, LOGS / f"{name}.log") as server:
        server.wait_until_warm(WARM_SECONDS)
        yield Running(server.url, "/invocations", server.process.pid)


@contextmanager
def running(peer: Peer, models: Models, settings: Settings, question: bytes) -> Iterator[Running]:
    """A peer that has answered a question; ended, with all its processes, afterwards."""
    LOGS.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = peer.command(models, port, settings)
    environment = python_of(peer.environment).parents[1].absolute()
    places = {"CHECKPOINT": str(models.checkpoint.absolute()), "ARTIFACT": str(models.artifact.absolute())}
    path = {"PATH": f"{environment / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(Path.cwd())}
    path["VIRTUAL_ENV"] = str(environment)  # TorchServe's launcher looks for libiomp5.so there
    threads = {"OMP_NUM_THREADS": settings["THREADS"]} if "THREADS" in settings else {}
    logs = {"LOG_LOCATION": str(LOGS.absolute()), "METRICS_LOCATION": str(LOGS.absolute())}  # TorchServe's
    log = LOGS / f"{peer.name}.log"
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **path, **places, **logs, **threads, **peer.variables(models), **settings},
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Running(f"http://127.0.0.1:{port}", peer.path, process.pid, peer.warm_passes)
    try:
        _wait_for_an_answer(server, process, question, log)
        yield server
    finally:
        _end(process)


def _wait_for_an_answer(server: Running, process: subprocess.Popen[bytes], question: bytes, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    json_type = {"Content-Type": "application/json"}
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answer = httpx.post(server.url + server.path, content=question, headers=json_type, timeout=60)
            if answer.status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass  # the port is not bound yet
        time.sleep(0.5)
    raise ToolError(f"{log.stem} gave no answer within {START_SECONDS} s; its log says why: {log}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to all processes of the server's own group, SIGKILL to those that do not end."""
    deadline = time.monotonic() + STOP_SECONDS
    with suppress(ProcessLookupError):  # all have ended
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()  # an ended leader counts until it is asked for
            os.killpg(process.pid, 0)
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
