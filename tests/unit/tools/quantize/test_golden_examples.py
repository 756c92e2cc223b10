"""The texts of the golden examples: they belong to the project, and they show the differences between tokenizers."""

import json
import math
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, normalizers
from transformers import BertConfig, BertForQuestionAnswering

from model_loader.manifest import GoldenResult
from serve.qa.features import Featurizer, Window, WindowLimits
from tools.errors import ToolError
from tools.local_model import Cutter
from tools.quantize.export import rewrites
from tools.quantize.golden_examples import check_rounding, golden_results, read_golden_texts
from tools.squad.examples import read_examples
from tools.squad.rules import MAX_QUESTION_LEN

ROOT = Path(__file__).parents[4]
DEMO = ROOT / "models" / "demo"


def demo_tokenizer(*, lowercase: bool = True) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(DEMO / "tokenizer.json"))
    if not lowercase:
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    return tokenizer


def ids(tokenizer: Tokenizer) -> list[list[int]]:
    return [tokenizer.encode(each.question, each.context).ids for each in read_golden_texts()]


def test_no_golden_text_is_in_the_demo_data() -> None:
    demo = {text for name in ("calibration", "held_out") for each in read_examples(str(DEMO / f"{name}.json"))
            for text in (each.question, each.context)}  # fmt: skip
    assert not demo & {text for each in read_golden_texts() for text in (each.question, each.context)}


def test_a_question_fits_into_every_vocabulary() -> None:
    """A tokenizer writes at most one token for each byte of a text."""
    assert max(len(each.question.encode()) for each in read_golden_texts()) <= MAX_QUESTION_LEN


def test_the_texts_have_several_lengths_up_to_most_of_a_window() -> None:
    lengths = sorted(map(len, ids(demo_tokenizer())))
    assert lengths[0] < 32
    assert any(64 < length < 128 for length in lengths)
    assert 256 < lengths[-1] <= 384


def test_the_texts_have_many_scripts() -> None:
    letters = {letter for each in read_golden_texts() for letter in each.question + each.context if letter.isalpha()}
    scripts = {unicodedata.name(letter).split()[0] for letter in letters}
    assert {
        "LATIN",
        "CYRILLIC",
        "GREEK",
        "ARABIC",
        "HEBREW",
        "CJK",
        "HIRAGANA",
        "HANGUL",
        "DEVANAGARI",
        "THAI",
    } <= scripts


def test_a_tokenizer_that_keeps_capitals_writes_other_ids() -> None:
    assert ids(demo_tokenizer(lowercase=False)) != ids(demo_tokenizer())


def test_many_tokens_of_the_vocabulary_occur(demo_dir: Path) -> None:
    """The more tokens occur, the fewer ids can be wrong without notice. Of 1 % of all ids, 6 are among 600."""
    examples = json.loads((demo_dir / "manifest.json").read_bytes())["golden_examples"]
    assert len({id_ for example in examples for id_ in example["input_ids"]}) > 600


def results_of(model: torch.nn.Module, windows: list[tuple[torch.Tensor, ...]]) -> list[GoldenResult]:
    with torch.no_grad():
        logits = [model(*window, return_dict=False)[:2] for window in windows]
    return [GoldenResult(answer="", start_logits=s[0].tolist(), end_logits=e[0].tolist()) for s, e in logits]


@pytest.mark.parametrize(("positions", "is_right"), [("absolute", True), ("relative_key_query", False)])
def test_rewrites_that_change_the_mathematics_are_found(positions: str, is_right: bool) -> None:
    """Keys cannot be centred on 0 where positions are multiplied with them."""
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96}
    config = BertConfig(vocab_size=2000, position_embedding_type=positions, initializer_range=0.3, **sizes)
    model = BertForQuestionAnswering(config).eval()
    windows = [(torch.randint(100, 2000, (1, tokens)),) for tokens in (12, 31)]
    layers = rewrites.encoder_layers(model, "bert")
    with torch.no_grad():
        for layer in layers:
            layer.key.bias.normal_()
    before = results_of(model, windows)
    ranges = rewrites.observe_ranges(model, layers, windows)
    for layer in layers:
        rewrites.centre(layer, ranges)
        rewrites.smooth(model, layer, ranges, alpha=0.7)
    if is_right:
        check_rounding("other logits", results_of(model, windows), before)
    else:
        with pytest.raises(ToolError, match=r"other logits \(the logits are .* and differ by"):
            check_rounding("other logits", results_of(model, windows), before)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_not_numbers_are_found(value: float) -> None:
    cutter = Cutter(Featurizer(DEMO / "tokenizer.json"), WindowLimits(384, 128, MAX_QUESTION_LEN))

    def forward(window: Window) -> tuple[np.ndarray, np.ndarray]:
        logits = np.zeros((2, len(window.input_ids)), np.float32)
        logits[1, 3] = value
        return logits[0], logits[1]

    with pytest.raises(ToolError, match="returns NaN or infinity, so its weights are damaged"):
        golden_results(cutter, read_golden_texts(), forward, "question-answering")
