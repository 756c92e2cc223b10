"""Checkpoint to ONNX, in the transformers peer's environment: CHECKPOINT OUTPUT.

Attention is exported in its eager form: the shape of graph that ONNX Runtime's and OpenVINO's fusions look for.
"""

import sys

import torch
from transformers import AutoModelForQuestionAnswering

OPSET = 17
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("start_logits", "end_logits")


def main() -> None:
    checkpoint, output = sys.argv[1:]
    model = AutoModelForQuestionAnswering.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager", return_dict=False
    ).eval()
    ids = torch.arange(32)[None] + 1000
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
