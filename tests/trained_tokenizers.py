"""Small tokenizers of each family, trained on the demo's texts and saved as Hugging Face's libraries save them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = Path(__file__).parents[1]
VOCABULARY = 1000
UNICODE = (
    "Zoë naïve coöperate straße İstanbul ﬁsh ½ 東京は日本の首都です。 각 서울은 한국의 수도이다. "
    "Привет, мир! नमस्ते दुनिया. ภาษาไทย ก็ได้ مرحبا بالعالم שלום עולם 🚢👍🏽 42.5% U.S.A. o'clock don't (see [1])"
)


def texts() -> list[str]:
    """The contexts of the demo's held-out questions, and some text in other scripts."""
    data = json.loads((ROOT / "models" / "demo" / "held_out.json").read_text())["data"]
    contexts = [paragraph["context"] for article in data for paragraph in article["paragraphs"]]
    return [*contexts[:200], *[UNICODE] * 5]


def byte_level_bpe(*special_tokens: str) -> Tokenizer:
    """Train byte-level BPE, whose first ids are the special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(special_tokens), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def sentencepiece_model(directory: Path, **settings: Any) -> str:
    """Train a Unigram model with sentencepiece, and return the path of its file."""
    import sentencepiece

    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "trained"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts()),
        model_prefix=str(path),
        vocab_size=VOCABULARY,
        character_coverage=1.0,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **settings,
    )
    return f"{path}.model"


def roberta(directory: Path, **settings: Any) -> None:
    """Write vocab.json, merges.txt and tokenizer.json."""
    from transformers import RobertaTokenizerFast

    directory.mkdir(parents=True, exist_ok=True)
    byte_level_bpe("<s>", "<pad>", "</s>", "<unk>", "<mask>").model.save(str(directory))
    vocabulary, merges = str(directory / "vocab.json"), str(directory / "merges.txt")
    RobertaTokenizerFast(vocabulary, merges, **settings).save_pretrained(directory)


def modernbert(directory: Path, **settings: Any) -> None:
    """Write tokenizer.json alone: byte-level BPE with BERT's special tokens, and with added tokens of spaces."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = byte_level_bpe("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens(["|||IP_ADDRESS|||", *(AddedToken(" " * count, normalized=True) for count in (8, 4, 2))])
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "cls", "sep", "pad", "mask")}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_input_names=["input_ids", "attention_mask"], **names, **settings
    ).save_pretrained(directory)


def xlm_roberta(directory: Path, **settings: Any) -> None:
    """Write a SentencePiece model and tokenizer.json."""
    from transformers import XLMRobertaTokenizerFast

    XLMRobertaTokenizerFast(sentencepiece_model(directory), **settings).save_pretrained(directory)


def xlm_roberta_of_the_hub(directory: Path, **settings: Any) -> None:
    """Write tokenizer.json as the checkpoints on the hub have it: it splits at white space first."""
    xlm_roberta(directory, **settings)
    file = str(directory / "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.save(file)


def camembert(directory: Path, **settings: Any) -> None:
    """Write a SentencePiece model and tokenizer.json."""
    from transformers import CamembertTokenizerFast

    CamembertTokenizerFast(sentencepiece_model(directory), **settings).save_pretrained(directory)


def deberta_v2(directory: Path, **settings: Any) -> None:
    """Write a SentencePiece model and tokenizer.json."""
    from transformers import DebertaV2TokenizerFast

    special = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]", "bos_piece": "[CLS]"}
    special |= {"eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    DebertaV2TokenizerFast(sentencepiece_model(directory, **special), **settings).save_pretrained(directory)


def bert(directory: Path, **settings: Any) -> None:
    """Write the demo's vocabulary as a cased or uncased tokenizer."""
    from transformers import BertTokenizerFast

    directory.mkdir(parents=True, exist_ok=True)
    vocabulary = json.loads((ROOT / "models" / "demo" / "tokenizer.json").read_text())["model"]["vocab"]
    names = sorted(vocabulary, key=vocabulary.__getitem__)
    (directory / "vocab.txt").write_text("".join(f"{name}\n" for name in names))
    BertTokenizerFast(str(directory / "vocab.txt"), **settings).save_pretrained(directory)


WRITE: dict[str, Callable[..., None]] = {
    "bert": bert,
    "roberta": roberta,
    "modernbert": modernbert,
    "xlm-roberta": xlm_roberta,
    "xlm-roberta of the hub": xlm_roberta_of_the_hub,
    "camembert": camembert,
    "deberta-v2": deberta_v2,
}
