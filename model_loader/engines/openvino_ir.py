"""Models in OpenVINO's intermediate representation (IR): an .xml file, and its weights beside it in a .bin file.

A pass on one thread runs in the thread that asks for it. OpenVINO's own threads then only wait, and a process that is
forked from this one needs none of them: it runs the compiled model that it inherits, and shares its memory
(docs/decisions/0016). A pass on several threads needs OpenVINO's threads, which do not survive a fork. Such a process
must load the model again.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from container import cpu
from container.precision import Precision
from model_loader.engines.openvino_cpu import computes_in_bf16, needs_static_shapes
from model_loader.engines.qa_model import Inputs, Logits, QAModel
from model_loader.errors import ArtifactInvalid, PrecisionUnsupported
from model_loader.ladder import Batch
from model_loader.model_file import ModelFile

# The name of OpenVINO for a linear layer, and for the numbers that it multiplies.
LINEAR_LAYER = "FullyConnected"
NUMBERS: dict[Precision, tuple[str, ...]] = {"INT8": ("u8", "i8"), "BF16": ("bf16",), "FP32": ("f32",)}


class OpenVINOModel(QAModel):
    """One IR model."""

    must_load_again = True

    def __init__(self, file: ModelFile, core: Any, properties: dict[str, Any], *, has_static_shapes: bool) -> None:
        """Read the file and, unless each shape is to be compiled alone, compile it.

        Raises: RuntimeError if OpenVINO cannot do so.
        """
        super().__init__(file)
        self._core = core
        self._properties = properties
        self._requests: dict[Batch, Any] = {}  # if each shape is compiled alone
        self._last: Any = None
        self._model = core.read_model(file.path)
        self._any_shape = None
        if not has_static_shapes:
            self._any_shape = self._compile()
            self._model = None  # it takes memory

    def use_threads(self, threads: int) -> None:
        """Do nothing: the model was compiled for a number of threads."""

    def count_fused_groups(self) -> int:
        """Return the number of linear layers that ran in the file's precision. BERT has 6 for each layer, and one."""
        operations = self._last.get_compiled_model().get_runtime_model().get_ops()
        about = [operation.get_rt_info() for operation in operations]
        return sum(
            each["layerType"].get() == LINEAR_LAYER
            and each["runtimePrecision"].get().lower() in NUMBERS[self.file.precision]
            for each in about
        )

    def _run(self, inputs: Inputs) -> Logits:
        windows, rung = inputs["input_ids"].shape
        self._last = request = self._any_shape or self._for_shape(Batch(rung, windows))
        outputs = request.infer({name: inputs[name] for name in self.file.inputs}, share_inputs=True)
        return outputs[0], outputs[1]

    def _for_shape(self, shape: Batch) -> Any:
        if shape not in self._requests:
            self._model.reshape({name: [shape.windows, shape.rung] for name in self.file.inputs})
            self._requests[shape] = self._compile()
        return self._requests[shape]

    def _compile(self) -> Any:
        with _on_one_core() if self._properties.get("INFERENCE_NUM_THREADS") == 1 else nullcontext():
            return self._core.compile_model(self._model, "CPU", self._properties).create_infer_request()


def load(file: ModelFile, threads: int | None) -> OpenVINOModel:
    """Load an IR model for passes of so many threads. None leaves the number to OpenVINO.

    Raises: PrecisionUnsupported if OpenVINO is not installed, ArtifactInvalid if it cannot load the file.
    """
    detected = cpu.detect()
    is_static = needs_static_shapes(file.precision, detected)
    properties = {
        "NUM_STREAMS": 1,
        # Without it, OpenVINO multiplies in BF16 where the CPU can, also for FP32.
        "INFERENCE_PRECISION_HINT": "bf16" if computes_in_bf16(file.precision, detected) else "f32",
        "ENABLE_CPU_PINNING": False,  # a lane is pinned to its cores
        **({"INFERENCE_NUM_THREADS": threads} if threads else {}),
    }
    with _on_one_core() if threads == 1 else nullcontext():
        core = _core()
        try:
            return OpenVINOModel(file, core, properties, has_static_shapes=is_static)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ArtifactInvalid(f"OpenVINO cannot load {file.path}: {reason}. Make the artifact again") from error


def send_no_reports() -> None:
    """Keep OpenVINO and NNCF from reporting their use to their makers. Call it before they are imported.

    They skip it if the package that sends the reports is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def _core() -> Any:
    send_no_reports()
    # OpenVINO binds the thread of a pass, by way of TBB and hwloc, to the cores that this process was allowed when the
    # first model was compiled, whatever ENABLE_CPU_PINNING says. That would bring all lanes to one core.
    os.environ["HWLOC_THISSYSTEM"] = "0"  # hwloc: binding does nothing
    try:
        import openvino
    except ModuleNotFoundError:
        raise PrecisionUnsupported(
            "the model needs openvino, which is not installed: pip install -r container/requirements-openvino.txt"
        ) from None
    return openvino.Core()


@contextmanager
def _on_one_core() -> Iterator[None]:
    """Let this thread use one core only, so that OpenVINO starts no thread that would take part in a pass."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
