"""Write a BERT-base checkpoint of random weights: it costs what the real one costs, and needs no hub.

python -m benchmarks.random_bert_base build/bert-base-checkpoint
"""

import sys

import torch
from transformers import AutoTokenizer, BertConfig, BertForQuestionAnswering


def main() -> None:
    torch.manual_seed(0)
    BertForQuestionAnswering(BertConfig()).save_pretrained(sys.argv[1])
    AutoTokenizer.from_pretrained("models/demo").save_pretrained(sys.argv[1])


if __name__ == "__main__":
    main()
