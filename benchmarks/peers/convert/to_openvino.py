"""Convert ONNX to OpenVINO INT8: MODEL.onnx CHECKPOINT QUESTIONS.json INT8.xml. Runs in the environment of that peer.

The steps follow OpenVINO's documentation: NNCF's post-training quantization with model_type TRANSFORMER, calibrated on
real questions.
"""

import json
import sys
from pathlib import Path

import nncf
import openvino
from tokenizers import Encoding

from benchmarks.peers.question_answering import Reader, tensors


def main() -> None:
    """Quantize on all windows of the questions."""
    onnx, checkpoint, questions, output = sys.argv[1:]
    model = openvino.convert_model(onnx)
    names = {node.get_any_name() for node in model.inputs}
    reader = Reader(Path(checkpoint) / "tokenizer.json")
    windows = [
        window
        for article in json.loads(Path(questions).read_text())["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
        for window in reader.windows(qa["question"], paragraph["context"])
    ]

    def inputs(window: Encoding) -> dict[str, object]:
        return {name: array for name, array in tensors(window).items() if name in names}

    quantized = nncf.quantize(
        model, nncf.Dataset(windows, inputs), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(windows)
    )
    openvino.save_model(quantized, output)


if __name__ == "__main__":
    main()
