"""The faults: what each does to a server, and which alerts it fires."""

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.control_group import ControlGroup
from tests.live_alerts.repeated import repeated
from tests.live_alerts.watch import Case
from tests.observability import write_targets
from tests.server.guarded import accept_any_logits, damage, questions
from tests.server.questions import long_body, post
from tests.server.server_process import cores_of, server_processes, zygote_of
from tests.server.slow_clients import post_slowly
from tests.waiting import wait_until
from tools.local_server import LocalServer, free_port

SMALL = {"RUNG_STEP": "128", "GUARD_SHARE": "0", "MAX_BATCH_WINDOWS": "1"}  # starts fast
OF_ONE_LANE = {"NARROW_LANES": "1", "WIDE_LANE": "false", "BACKGROUND_LANES": "false"}
WARM_SECONDS = 600.0
# A server that has just started is slow, and a part of an hour is too short for one slow answer in a hundred.
SLOW_ANSWERS = ("BertQaLatencyBurnsBudgetFast", "BertQaLatencyBurnsBudgetSlow", "BertQaLatencyBurnsBudgetSteadily")
SENTENCES = 40  # about 370 tokens
PAUSE_SECONDS = 0.8  # in a body of a slow client, which is more than the 0.5 s of the objective
DISAGREEMENTS = 80  # the alert needs 50 comparisons in an hour
CPU_SHARE = 0.001  # of a core, on which importing torch takes longer than the five minutes of the alert
LIMIT_BYTES, TAKEN_BYTES = 900_000_000, 800_000_000  # free memory before the fault, and what the fault takes


class Faults:
    """The faults with their servers. Each server has a log in the folder `logs`."""

    def __init__(self, model_dir: Path, folder: Path, logs: Path, healthy_port: int) -> None:
        """healthy_port: of a server without a fault, which service discovery finds at the end of one fault."""
        self._model_dir = model_dir
        self._folder = folder
        self._logs = logs
        self._healthy_port = healthy_port
        self._servers: dict[str, LocalServer] = {}
        self.absent_targets = folder / "absent.json"
        write_targets(self.absent_targets, [])

    def cases(self) -> list[Case]:
        """Return all cases."""
        return [
            self._overload(), self._slow_clients(), self._lost_lanes(), self._memory(), self._loading(), self._ended(),
            self._guard(), self._absent(),
        ]  # fmt: skip

    def _server(self, name: str, settings: dict[str, str], model_dir: Path | None = None) -> LocalServer:
        return LocalServer(model_dir or self._model_dir, {**SMALL, **settings}, log=self._logs / f"{name}.log")

    @contextmanager
    def _running(self, name: str, port: int, settings: dict[str, str]) -> Iterator[LocalServer]:
        with self._server(name, {**settings, "PORT": str(port)}) as server:
            server.wait_until_warm(WARM_SECONDS)
            self._servers[name] = server
            yield server

    def _overload(self) -> Case:
        """A queue that may hardly be longer than nothing, and three clients that ask at the same time."""
        port = free_port()

        @contextmanager
        def begin() -> Iterator[None]:
            server = self._servers["overload"]
            with repeated(3, lambda: post(server, long_body(SENTENCES)), pause=0.4):
                yield

        return Case(
            "bert-qa/overload", ("BertQaRefusals", "BertQaAvailabilityBurnsBudgetFast"),
            "three clients ask a server with one lane and a queue of a millisecond", begin,
            lambda: self._running("overload", port, {**OF_ONE_LANE, "MAX_QUEUE_SECONDS": "0.001"}), [port],
            ("BertQaAvailabilityBurnsBudgetSlow", "BertQaAvailabilityBurnsBudgetSteadily"),
        )  # fmt: skip

    def _slow_clients(self) -> Case:
        port = free_port()

        @contextmanager
        def begin() -> Iterator[None]:
            server = self._servers["slow"]
            with repeated(1, lambda: post_slowly(server, 2, PAUSE_SECONDS)):
                yield

        return Case(
            "bert-qa/slow", ("BertQaLatencyBurnsBudgetFast",), "clients send their bodies slowly", begin,
            lambda: self._running("slow", port, {}), [port],
            SLOW_ANSWERS[1:],
        )  # fmt: skip

    def _lost_lanes(self) -> Case:
        """Kill the narrow lane of one core as soon as it is back. The other one goes on answering."""
        port = free_port()

        @contextmanager
        def begin() -> Iterator[None]:
            server = self._servers["lanes"]
            core = max(lane["cores"] for lane in server.info()["lanes"])

            def kill() -> None:
                with contextlib.suppress(psutil.NoSuchProcess, ValueError):  # it has just ended
                    for lane in server_processes(server).lanes:
                        if cores_of(lane) == core:
                            lane.kill()

            with repeated(1, kill, pause=0.25):
                yield
            wait_until("every lane is back", lambda: all(each["is_alive"] for each in server.info()["lanes"]))

        settings = {"WIDE_LANE": "false", "BACKGROUND_LANES": "false"}
        return Case(
            "bert-qa/lanes", ("BertQaLanesMissing", "BertQaLaneLost"),
            "a narrow lane is killed again each time that it starts", begin,
            lambda: self._running("lanes", port, settings), [port],
        )  # fmt: skip

    def _memory(self) -> Case:
        port = free_port()
        groups: list[ControlGroup] = []

        @contextmanager
        def prepare() -> Iterator[None]:
            group = ControlGroup("memory")
            groups.append(group)
            try:
                server = self._server("memory", {"PORT": str(port)})
                group.add(server.process.pid)
                with server:
                    server.wait_until_warm(WARM_SECONDS)
                    group.limit_memory(LIMIT_BYTES)
                    yield
            finally:
                group.close()

        return Case(
            "bert-qa/memory", ("BertQaMemory",),
            "another process in the container's control group takes all but 100 MB of its memory",
            lambda: groups[0].taken(TAKEN_BYTES), prepare, [port],
        )  # fmt: skip

    def _loading(self) -> Case:
        """The process that loads the model gets hardly any CPU time, until the fault ends."""
        port = free_port()
        kept = contextlib.ExitStack()
        groups: list[ControlGroup] = []

        @contextmanager
        def prepare() -> Iterator[None]:
            group = ControlGroup("cpu")
            groups.append(group)
            try:
                with kept:
                    yield
            finally:
                group.close()

        @contextmanager
        def begin() -> Iterator[None]:
            server = self._server("loading", {"PORT": str(port)})
            kept.callback(server.stop)  # it runs until all is over
            groups[0].add(zygote_of(server).pid)
            groups[0].limit_cpu(CPU_SHARE)
            try:
                yield
            finally:
                groups[0].limit_cpu(None)

        return Case(
            "bert-qa/loading", ("BertQaNotReady",), "the process that loads the model gets 0.1 % of a core", begin,
            prepare, [port],
        )  # fmt: skip

    def _ended(self) -> Case:
        """The server is stopped, and then started again on the same port."""
        port = free_port()
        again = contextlib.ExitStack()

        @contextmanager
        def prepare() -> Iterator[None]:
            with again, self._running("ended", port, {}):
                yield

        @contextmanager
        def begin() -> Iterator[None]:
            self._servers["ended"].stop()
            yield
            again.enter_context(self._running("ended-again", port, {}))

        return Case(
            "bert-qa/ended", ("BertQaDown",), "the server is stopped, and started later", begin, prepare, [port]
        )

    def _guard(self) -> Case:
        """A damaged model is served, and then the right one, with questions until the share is small again."""
        port = free_port()
        settings = {"GUARD_SHARE": "1", "PORT": str(port)}
        again = contextlib.ExitStack()
        bad: list[LocalServer] = []

        @contextmanager
        def prepare() -> Iterator[None]:
            artifact = Path(shutil.copytree(self._model_dir, self._folder / "damaged"))
            damage(artifact)
            accept_any_logits(artifact)
            with again, self._server("guard", settings, artifact) as server:
                server.wait_until_warm(WARM_SECONDS)
                bad.append(server)
                yield

        @contextmanager
        def begin() -> Iterator[None]:
            some = iter(questions(DISAGREEMENTS))
            with repeated(1, lambda: [post(bad[0], body) for body in itertools.islice(some, 1)], pause=0.2):
                yield
            bad[0].stop()
            good = again.enter_context(self._server("guard-again", settings))
            others = itertools.cycle(questions(10_000))
            again.enter_context(repeated(1, lambda: post(good, next(others)), pause=0.4))

        return Case(
            "bert-qa/guard", ("BertQaGuardDisagreement",),
            "a damaged INT8 model is served; then the right one, which dilutes the hour", begin, prepare, [port],
            SLOW_ANSWERS,
        )  # fmt: skip

    def _absent(self) -> Case:
        """A Prometheus of its own finds no server; later it finds one."""

        @contextmanager
        def begin() -> Iterator[None]:
            yield
            write_targets(self.absent_targets, [self._healthy_port])

        return Case("", ("BertQaAbsent",), "service discovery returns no server", begin)
