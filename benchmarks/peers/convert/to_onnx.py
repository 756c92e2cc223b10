"""Convert a checkpoint to ONNX: CHECKPOINT OUTPUT.onnx. Runs in the environment of the transformers peer.

Attention is exported in its eager form, because the fusions of ONNX Runtime and of OpenVINO look for that graph.
"""

import sys

import torch
from transformers import AutoModelForQuestionAnswering

OPSET = 17
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("start_logits", "end_logits")


def main() -> None:
    """Export the model with free batch size and length."""
    checkpoint, output = sys.argv[1:]
    model = AutoModelForQuestionAnswering.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager", return_dict=False, use_safetensors=True
    ).eval()
    ids = torch.arange(32)[None] + 1000  # (1, 32)
    torch.onnx.export(
        model,
        (ids, torch.ones_like(ids), torch.zeros_like(ids)),
        output,
        input_names=INPUTS,
        output_names=OUTPUTS,
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in (*INPUTS, *OUTPUTS)},
        opset_version=OPSET,
        dynamo=False,
    )


if __name__ == "__main__":
    main()
