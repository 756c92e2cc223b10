"""Write a BERT-base checkpoint with random weights. It is as fast as a trained one and needs no download.

python -m benchmarks.random_bert_base build/bert-base-checkpoint
"""

import argparse


def main() -> None:
    """Write the model, and the tokenizer of the demo model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", help="directory to write")
    given = parser.parse_args()

    import torch  # Not at the top: torch takes seconds, and --help should not.
    from transformers import AutoTokenizer, BertConfig, BertForQuestionAnswering

    torch.manual_seed(0)
    BertForQuestionAnswering(BertConfig()).save_pretrained(given.output)
    AutoTokenizer.from_pretrained("models/demo").save_pretrained(given.output)


if __name__ == "__main__":
    main()
