"""ONNX to what ONNX Runtime serves, in its environment: MODEL.onnx CHECKPOINT FP32.onnx INT8.onnx.

As its documentation says for transformers on CPU: its transformer optimizer first, then dynamic quantization, 8-bit
weights and activations; no reduced range, since the CPU has VNNI. One scale a channel: with one a tensor the demo model
lost 8 points of F1, and was no faster.
"""

import json
import sys
from pathlib import Path

from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model


def main() -> None:
    model, checkpoint, fp32, int8 = sys.argv[1:]
    config = json.loads((Path(checkpoint) / "config.json").read_text())
    optimized = optimize_model(
        model,
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        opt_level=0,  # level 1 needs torch, and on this graph finds nothing more for the fusions
    )
    fused = {name: count for name, count in optimized.get_fused_operator_statistics().items() if count}
    print(f"fused operators: {fused}")
    if fused.get("Attention") != config["num_hidden_layers"]:
        raise SystemExit("the optimizer did not fuse the attention of every layer: the figures would not be its best")
    optimized.save_model_to_file(fp32)
    # The fused operators are unknown to ONNX's shape inference, so it has to be told that they give floats.
    told = {"DefaultTensorType": TensorProto.FLOAT}
    quantize_dynamic(fp32, int8, per_channel=True, weight_type=QuantType.QInt8, extra_options=told)


if __name__ == "__main__":
    main()
