"""Make an artifact from a checkpoint: the model in each precision, the tokenizer, and a manifest.

python -m tools.quantize --model csarron/bert-base-uncased-squad-v1 --calibration squad:train --output build/bert-base
"""

import logging
import sys
import warnings

from rich.console import Console
from rich.progress import Progress

from tools.errors import run
from tools.quantize.arguments import parse_arguments
from tools.quantize.calibration import read_calibration, read_held_out
from tools.quantize.output_directory import replacing
from tools.squad.shared_contexts import EvaluationContexts


def main() -> None:
    """Check the arguments, build the artifact beside the output, and move it into place."""
    options = parse_arguments(__doc__)
    calibration = read_calibration(options.calibration, options.steps, holds_back=options.recipe == "auto")
    held_out = read_held_out(options.evaluation) if options.evaluation else []
    for warning in EvaluationContexts.of(f"--evaluation {options.evaluation}", held_out).warnings(
        (example.context for example in calibration), f"--calibration {options.calibration}"
    ):
        print(warning)
    console = Console(file=sys.stdout)  # also while the output of NNCF is hidden
    with replacing(options.output) as directory, Progress(transient=True, console=console) as progress:
        progress.add_task("import torch and the engine", total=None)
        _silence_libraries()
        # These modules import torch and the engine, which takes seconds: the arguments have been checked first.
        from tools.quantize.artifact_build import ArtifactBuild
        from tools.quantize.report import StepDisplay

        ArtifactBuild(options, directory, StepDisplay(progress)).run(calibration, held_out)
    print(f"wrote {options.output}")


def _silence_libraries() -> None:
    """Hide the deprecation warnings of torch, IPEX, NNCF and transformers, whose versions are pinned.

    IPEX imports a module of torch that warns of a missing GPU where CUDA's compiler is installed.
    """
    warnings.filterwarnings("ignore")
    for name in ("IPEX", "torch.utils.cpp_extension"):
        logging.getLogger(name).setLevel(logging.ERROR)


if __name__ == "__main__":
    run(main)
