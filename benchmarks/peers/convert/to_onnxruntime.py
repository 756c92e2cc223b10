"""Convert ONNX for ONNX Runtime: MODEL.onnx CHECKPOINT FP32.onnx INT8.onnx. Runs in the environment of that peer.

The steps follow ONNX Runtime's documentation for transformers on CPU: first the transformer optimizer, then dynamic
quantization with 8-bit weights and activations. The range is not reduced, because the CPU has VNNI. Weights have one
scale for each channel: with one scale for each tensor, the demo model lost 8 points of F1 and was no faster.
"""

import json
import sys
from pathlib import Path

from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model


def main() -> None:
    """Write the optimized FP32 model and the INT8 model."""
    model, checkpoint, fp32, int8 = sys.argv[1:]
    config = json.loads((Path(checkpoint) / "config.json").read_text())
    optimized = optimize_model(
        model,
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        opt_level=0,  # Level 1 needs torch, and gives the fusions nothing more to find in this graph.
    )
    fused = {name: count for name, count in optimized.get_fused_operator_statistics().items() if count}
    print(f"fused operators: {fused}")
    if fused.get("Attention") != config["num_hidden_layers"]:
        raise SystemExit("the optimizer did not fuse the attention of every layer, so the model would be too slow")
    optimized.save_model_to_file(fp32)
    # ONNX's shape inference does not know the fused operators. This option says that their outputs are floats.
    options = {"DefaultTensorType": TensorProto.FLOAT}
    quantize_dynamic(fp32, int8, per_channel=True, weight_type=QuantType.QInt8, extra_options=options)


if __name__ == "__main__":
    main()
