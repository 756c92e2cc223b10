"""Write a checkpoint with random weights: as fast as a trained one, and without a download.

python -m benchmarks.random_checkpoint build/bert-base-checkpoint
python -m benchmarks.random_checkpoint build/roberta-base-checkpoint --architecture roberta
python -m benchmarks.random_checkpoint build/tiny-checkpoint --layers 2 --hidden-size 128 --logit-factor 30

The tokenizer is the demo model's, for every architecture: the speed does not depend on which tokens a text has.
"""

import argparse
from typing import Any

# What the usual checkpoints of base size have, where it differs from transformers' default configuration.
_ROBERTA: dict[str, Any] = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
HEAD_SIZE = 64
SETTINGS: dict[str, dict[str, Any]] = {
    "bert": {},
    "distilbert": {},
    "roberta": {**_ROBERTA, "vocab_size": 50265},
    "xlm-roberta": {**_ROBERTA, "vocab_size": 250002},
    "camembert": {**_ROBERTA, "vocab_size": 32005},
    "modernbert": {},
    "deberta-v2": {  # DeBERTa-v3's
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "relative_attention": True,
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "max_relative_positions": -1,
    },
}


def main() -> None:
    """Write the model, and the tokenizer of the demo model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", help="directory to write")
    parser.add_argument("--architecture", choices=list(SETTINGS), default="bert", help="model_type (default: bert)")
    parser.add_argument("--layers", type=int, default=12, help="number of layers (default: 12)")
    parser.add_argument("--hidden-size", type=int, default=768, help="a multiple of 64 (default: 768)")
    parser.add_argument(
        "--logit-factor",
        type=float,
        default=1,
        help="factor of the weights of the last layer, such as 30: with random weights all spans have similar scores, "
        "and with larger logits one span leads (default: 1)",
    )
    given = parser.parse_args()

    import torch  # Not at the top: torch takes seconds, and --help should not.
    from transformers import AutoConfig, AutoModelForQuestionAnswering, AutoTokenizer

    torch.manual_seed(0)
    sizes = {
        "num_hidden_layers": given.layers,
        "hidden_size": given.hidden_size,
        "num_attention_heads": given.hidden_size // HEAD_SIZE,
        "intermediate_size": 4 * given.hidden_size,
    }
    # The sizes of DistilBERT have other names, and ModernBERT's feed-forward layers another factor.
    is_smaller = (given.layers, given.hidden_size) != (12, 768)
    settings = {**SETTINGS[given.architecture], **(sizes if is_smaller else {})}
    model = AutoModelForQuestionAnswering.from_config(AutoConfig.for_model(given.architecture, **settings))
    with torch.no_grad():
        list(model.parameters())[-2].mul_(given.logit_factor)  # the weight of the last layer; its bias follows
    model.save_pretrained(given.output)
    AutoTokenizer.from_pretrained("models/demo").save_pretrained(given.output)


if __name__ == "__main__":
    main()
