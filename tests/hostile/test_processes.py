"""The death or the stop of one or two processes never ends the server, and leaves nothing behind.

Eight pairs of faults are tried here, and all of them by `python -m tests.hostile.soak.matrix`, which also checks how
soon the server recovers: here other programs may use the cores.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from container import contract
from tests.artifacts import model_file
from tests.hostile.processes import Case, ServerProcesses, eight_cases
from tests.hostile.recovery import GIVE_UP_SECONDS, LONG, Answer, Player, ask
from tests.server.questions import ANSWER, BODY
from tests.server.server_process import has_ended
from tests.waiting import wait_until
from tools.local_server import LocalServer

CASES = eight_cases(seed=19)
LANES = ("narrow", "wide", "background", "guard")
SETTINGS = {"RUNG_STEP": "128", "MAX_BATCH_WINDOWS": "auto"}


@pytest.fixture(scope="module")
def player(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    """A server on which many cases are played, one after the other."""
    with LocalServer(demo_dir, SETTINGS, log=tmp_path_factory.mktemp("faults") / "log") as server:
        server.wait_until_warm()
        yield Player(server)
        assert server.stop() == 0
    wait_until("no process is left", lambda: not ServerProcesses(server).all)


@pytest.mark.parametrize("case", [case for case in CASES if case.moment != "during warm-up"], ids=str)
def test_the_server_recovers_from_a_pair_of_faults(case: Case, player: Player) -> None:
    player.server.wait_until_warm()
    assert player.play(case).problems_within(GIVE_UP_SECONDS) == []


@pytest.mark.parametrize("case", [case for case in CASES if case.moment == "during warm-up"], ids=str)
def test_the_server_recovers_from_a_pair_of_faults_during_warm_up(
    case: Case, player: Player, demo_dir: Path, tmp_path: Path
) -> None:
    with LocalServer(demo_dir, SETTINGS, log=tmp_path / "log") as server:
        assert Player(server, player.right).play(case).problems_within(GIVE_UP_SECONDS) == []
        assert server.stop() == 0
    wait_until("no process is left", lambda: not ServerProcesses(server).all)


@pytest.mark.parametrize("ending", ["worker", "master"])
def test_no_process_outlives_the_worker_or_the_master_even_if_it_is_stopped(
    ending: str, demo_dir: Path, tmp_path: Path
) -> None:
    """The lifeline is all that can end a process that is stopped: no signal handler of its own runs."""
    replies: list[Answer | str] = []
    with LocalServer(demo_dir, SETTINGS, log=tmp_path / "log") as server:
        server.wait_until_warm()
        found = ServerProcesses(server).by_kind
        (first,) = found[ending]
        lanes = [each for kind in LANES for each in found[kind]]
        for each in lanes:
            each.suspend()
        # No lane answers now, so that the request's text process lives until it is ended.
        client = threading.Thread(target=lambda: replies.append(ask(server, LONG)))
        client.start()
        wait_until("a text process runs", lambda: bool(ServerProcesses(server).by_kind["text"]))
        found = ServerProcesses(server).by_kind
        others = [each for kind in ("zygote", "template", "text") for each in found[kind]]
        assert len(others) == 3
        for each in others:
            each.suspend()
        first.send_signal(signal.SIGKILL)
        below = lanes + others
        wait_until("all processes below have ended", lambda: all(has_ended(each.pid) for each in below))
        client.join()
        assert replies == ["closed"]
        if ending == "worker":
            server.wait_until_ready()
        else:
            server.process.wait(60)
            wait_until("every process has ended", lambda: not ServerProcesses(server).all)


def test_a_model_file_that_has_changed_is_not_loaded_into_a_new_zygote(artifact_copy: Path, tmp_path: Path) -> None:
    """The lanes that run go on with the model that was checked. The new zygote follows when the file is right again."""
    log = tmp_path / "log"
    file, right = model_file(artifact_copy), tmp_path / "right"
    with LocalServer(artifact_copy, SETTINGS, log=log) as server:
        server.wait_until_warm()
        file.rename(right)
        content = bytearray(right.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        ServerProcesses(server).by_kind["zygote"][0].kill()
        wait_until("the new zygote is refused", lambda: "cannot start another zygote" in log.read_text(), seconds=60)
        assert file.name in log.read_text()
        assert ask(server, BODY)[0] == ANSWER
        assert ServerProcesses(server).by_kind["zygote"] == []
        right.rename(file)
        wait_until("a zygote runs", lambda: len(ServerProcesses(server).by_kind["zygote"]) == 1, seconds=60)
        ServerProcesses(server).by_kind["narrow"][0].kill()
        wait_until("the lane is replaced", lambda: sum(lane["restarts"] for lane in server.info()["lanes"]) == 1)
        server.wait_until_warm()
        assert server.stop() == 0


@pytest.mark.skipif(not os.environ.get("SOAK"), reason="takes 90 s; SOAK=1 runs it")
def test_a_server_that_has_no_lanes_for_a_minute_ends_with_exit_code_75(artifact_copy: Path, tmp_path: Path) -> None:
    with LocalServer(artifact_copy, SETTINGS, log=tmp_path / "log") as server:
        server.wait_until_warm()
        model_file(artifact_copy).unlink()
        found = ServerProcesses(server)
        start = time.monotonic()
        for kind in ("zygote", *LANES):
            for each in found.by_kind[kind]:
                each.kill()
        wait_until("/ping says so", lambda: httpx.get(f"{server.url}/ping").status_code == 503)
        assert ask(server, BODY) == "not_ready"
        assert server.process.wait(120) == contract.EXIT_NO_LANES
        assert time.monotonic() - start >= 60
    wait_until("no process is left", lambda: not ServerProcesses(server).all)
