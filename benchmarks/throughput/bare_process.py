"""Run the windows of real questions on one core, and do nothing else: the comparison for saturation.

saturation runs this module through line_process. For each line on stdin, the process runs all windows once and prints
the seconds of that.
"""

import argparse
import os
import random
import time
from pathlib import Path

from benchmarks import traffic
from benchmarks.line_process import answer_lines
from container import cpu
from model_loader import ladder
from model_loader.artifact import open_artifact
from tools.local_model import RUNG_STEP


def main() -> None:
    """Warm every rung as a lane does, then answer lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("precision")
    parser.add_argument("data")
    parser.add_argument("questions", type=int)
    parser.add_argument("core", type=int)
    given = parser.parse_args()

    from model_loader.engines.load import load  # Not at the top: saturation imports this module only for its name.

    os.sched_setaffinity(0, {given.core})
    artifact = open_artifact(given.model_dir, (given.precision,), cpu.detect())
    examples = traffic.read(given.data, given.questions)
    windows = [one for of_question in traffic.windows(examples, traffic.open_cutter(artifact)) for one in of_question]
    random.Random(str(given.core)).shuffle(windows)
    rungs = ladder.rungs(artifact.max_seq_len, RUNG_STEP)
    model = load(artifact.models[0], threads=1)
    for rung in rungs:
        model.warm(rung)
    passes = [(window, ladder.rung_for(len(window.input_ids), rungs)) for window in windows]

    def run_all_windows() -> float:
        begin = time.perf_counter()
        for window, rung in passes:
            assert rung is not None  # The longest rung holds every window.
            model.forward(window.input_ids, window.context_offset, rung)
        return time.perf_counter() - begin

    answer_lines(run_all_windows)


if __name__ == "__main__":
    main()
