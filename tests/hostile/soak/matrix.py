"""Kill or stop each kind of process of a server, alone and in pairs, at rest, during the warm-up and under load.

    python -m tests.hostile.soak.matrix --minutes 60

Each case prints one line. The order of the cases is random, so a run that is cut short is a sample. The last line is
one JSON object. The exit code is 1 if a case has failed.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.hostile.processes import ALL_CASES, Case
from tests.hostile.recovery import Answer, Outcome, Player
from tools.local_server import LocalServer

DEMO = Path("build/demo")
LOGS = Path("build/matrix")
SETTINGS = {"RUNG_STEP": "128"}
WARM_SECONDS = 300.0
CASES_OF_ONE_SERVER = 12


def main() -> None:
    """Play the cases, print the figures, and exit with the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-dir", type=Path, default=DEMO, help="directory of the artifact (default: build/demo)")
    parser.add_argument("--cases", type=int, default=len(ALL_CASES), help=f"number (default: all {len(ALL_CASES)})")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no case after this time")
    parser.add_argument("--seed", type=int, default=0, help="seed of the order (default: 0)")
    parser.add_argument("--logs", type=Path, default=LOGS, help=f"directory of the servers' logs (default: {LOGS})")
    given = parser.parse_args()
    given.logs.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + given.minutes * 60
    outcomes: list[Outcome] = []
    for outcome in play(random.Random(given.seed).sample(ALL_CASES, given.cases), given.model_dir, given.logs):
        outcomes.append(outcome)
        print(f"{len(outcomes)} of {given.cases}: {outcome}", flush=True)
        if time.monotonic() > deadline:
            break
    failed = [str(each) for each in outcomes if each.problems]
    print(json.dumps({"cases": len(outcomes), "failed": failed, **figures(outcomes)}))
    sys.exit(int(bool(failed)))


def figures(outcomes: list[Outcome]) -> dict[str, object]:
    """Return the slowest recoveries, and how the requests of all cases ended."""
    slowest = {
        name: round(max((each.seconds for each in outcomes if each.case.has_stop is has_stop), default=0.0), 1)
        for name, has_stop in (("only_killed", False), ("stopped", True))
    }
    return {"slowest_seconds": slowest, "replies": sum((each.replies for each in outcomes), start=Counter())}


def play(cases: Sequence[Case], model_dir: Path, logs: Path) -> Iterator[Outcome]:
    """Play the cases: each during the warm-up on a server of its own, and up to CASES_OF_ONE_SERVER others on one."""
    right: Sequence[Answer | str] | None = None
    waiting = list(cases)
    number = 0
    while waiting:
        number += 1
        with LocalServer(model_dir, SETTINGS, log=logs / f"{number}.log") as server:
            if waiting[0].moment == "during warm-up":
                now, waiting = waiting[:1], waiting[1:]
            else:
                quiet = [each for each in waiting if each.moment != "during warm-up"][:CASES_OF_ONE_SERVER]
                now, waiting = quiet, [each for each in waiting if each not in quiet]
            for case in now:
                if right is None or case.moment != "during warm-up":
                    server.wait_until_warm(WARM_SECONDS)
                player = Player(server, right)
                right = player.right
                print(f"{logs / f'{number}.log'} at {time.strftime('%H:%M:%S')}: {case}", flush=True)
                yield player.play(case)


if __name__ == "__main__":
    main()
