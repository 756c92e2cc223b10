"""Tokenizers are converted if the server can run them; else one line says what they are and the way out."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from serve.qa.features import Featurizer
from tests.trained_tokenizers import UNICODE, WRITE
from tests.unit.tools.checkpoint.checkpoints import write_checkpoint
from tools.checkpoint.checkpoint import open_checkpoint
from tools.errors import ToolError

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "built", "it", "##s", "?", "a", "b"]


def byte_level_bpe(directory: Path) -> None:
    """Write vocab.json and merges.txt."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        special_tokens=special, show_progress=False, vocab_size=400, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(["Who built the tower? Zoë built it."] * 9, trainer)
    tokenizer.model.save(str(directory))


def write_class(directory: Path, name: str, **fields: Any) -> None:
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name, **fields}))


def refusal_of(checkpoint: Path, directory: Path) -> str:
    directory.mkdir()
    with pytest.raises(ToolError) as refused:
        open_checkpoint(str(checkpoint)).save_tokenizer(directory)
    message = str(refused.value)
    assert message.startswith((str(checkpoint), f"cannot load checkpoint {checkpoint}"))
    assert "\n" not in message
    assert "protobuf" not in message
    assert "trust_remote_code" not in message
    assert len(message) < 700
    return message


@pytest.mark.parametrize("model_type", ["bert", "electra", "distilbert"])
def test_a_vocabulary_is_converted(tmp_path: Path, model_type: str) -> None:
    checkpoint, output = write_checkpoint(tmp_path / "model", model_type), tmp_path / "output"
    (checkpoint / "vocab.txt").write_text("\n".join(VOCABULARY))
    output.mkdir()
    featurizer = open_checkpoint(str(checkpoint)).save_tokenizer(output)
    tokens = featurizer.encode_context("Who built  its\n")
    assert [VOCABULARY[id_] for id_ in tokens.whole.ids] == ["who", "built", "it", "##s"]
    assert tokens.whole.ends.tolist() == [3, 9, 13, 14]


SLOW_FILES = {  # of each family whose tokenizers have others than tokenizer.json
    "bert": "vocab.txt",
    "roberta": "merges.txt",
    "xlm-roberta": "sentencepiece.bpe.model",
    "camembert": "sentencepiece.bpe.model",
    "deberta-v2": "spm.model",
}


@pytest.mark.parametrize("family", list(SLOW_FILES))
def test_the_files_of_a_slow_tokenizer_are_converted(tmp_path: Path, family: str) -> None:
    checkpoint, output = write_checkpoint(tmp_path / "model", family, vocab_size=30522), tmp_path / "output"
    WRITE[family](checkpoint)
    expected = Featurizer(checkpoint / "tokenizer.json")
    (checkpoint / "tokenizer.json").unlink()
    assert (checkpoint / SLOW_FILES[family]).is_file()
    output.mkdir()
    converted = open_checkpoint(str(checkpoint)).save_tokenizer(output)
    assert (output / "tokenizer.json").is_file()
    assert converted.encode_context(UNICODE).whole.ids.tolist() == expected.encode_context(UNICODE).whole.ids.tolist()
    assert converted.frame.names == expected.frame.names


@pytest.mark.parametrize(
    ("model_type", "family", "settings", "inputs"),
    [
        ("bert", "bert", {}, 3),
        ("bert", "roberta", {}, 2),  # the context has the type 0 too
        ("bert", "bert", {"type_vocab_size": 1}, 2),
        ("bert", "modernbert", {}, 2),  # the tokenizer says that the model takes no types
        ("distilbert", "bert", {}, 2),
        ("roberta", "roberta", {}, 2),
        ("roberta", "bert", {}, 2),  # such as klue/roberta-base
        ("roberta", "bert", {"type_vocab_size": 2}, 3),
        ("deberta-v2", "deberta-v2", {}, 2),
        ("deberta-v2", "deberta-v2", {"type_vocab_size": 2}, 3),
    ],
)
def test_a_model_gets_token_types_if_it_takes_them_and_its_tokenizer_writes_them(
    tmp_path: Path, model_type: str, family: str, settings: dict[str, Any], inputs: int
) -> None:
    checkpoint = write_checkpoint(tmp_path, model_type, **settings)
    WRITE[family](checkpoint)
    assert len(open_checkpoint(str(checkpoint)).inputs) == inputs


def test_a_tokenizer_that_writes_pairs_without_special_tokens_is_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "model", "bert")
    byte_level_bpe(checkpoint)
    write_class(checkpoint, "GPT2Tokenizer")
    message = refusal_of(checkpoint, tmp_path / "output")
    assert "the server cannot use its tokenizer: it does not write pairs as BERT or RoBERTa do" in message
    assert "takes tokenizers that write a pair as [CLS] question [SEP] context [SEP]" in message


def test_byte_level_bpe_without_a_class_needs_its_configuration(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "model", "bert")
    byte_level_bpe(checkpoint)
    message = refusal_of(checkpoint, tmp_path / "output")
    assert "does not name the class that reads them (tokenizer_class)" in message


def test_a_library_that_the_conversion_needs_is_named(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "model", "bert")
    byte_level_bpe(checkpoint)
    write_class(checkpoint, "HerbertTokenizer")
    message = refusal_of(checkpoint, tmp_path / "output")
    assert "needs the library sacremoses to convert its tokenizer (HerbertTokenizer)" in message


@pytest.mark.parametrize("file", ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model"])
def test_a_sentencepiece_model_is_named(tmp_path: Path, file: str) -> None:
    checkpoint = write_checkpoint(tmp_path / "model", "bert")
    (checkpoint / file).write_bytes(b"\n\x0e\n\x05<unk>")
    write_class(checkpoint, "AlbertTokenizer")
    message = refusal_of(checkpoint, tmp_path / "output")
    assert f"is a SentencePiece model ({file}) that transformers cannot convert" in message


def test_a_tokenizer_that_runs_in_python_only_is_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "model", "bert")
    (checkpoint / "vocab.txt").write_text("\n".join(VOCABULARY))
    write_class(checkpoint, "BertJapaneseTokenizer")
    message = refusal_of(checkpoint, tmp_path / "output")
    assert "its tokenizer (BertJapaneseTokenizer) cannot be converted to tokenizer.json" in message


def test_a_tokenizer_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "model", "bert")
    (checkpoint / "vocab.txt").write_text("\n".join(VOCABULARY))
    write_class(checkpoint, "BertTokenizer", auto_map={"AutoTokenizer": ["mine.Tokenizer", None]})
    assert "its tokenizer has code of its own (auto_map in" in refusal_of(checkpoint, tmp_path / "output")


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "model", "bert")
    message = refusal_of(checkpoint, tmp_path / "output")
    assert "has no tokenizer (tokenizer.json or vocab.txt)" in message
