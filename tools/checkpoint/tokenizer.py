"""Write the tokenizer of a checkpoint as tokenizer.json, which the server runs."""

from pathlib import Path

from transformers import AutoTokenizer
from transformers.models.auto.tokenization_auto import get_tokenizer_config, tokenizer_class_from_name
from transformers.utils.hub import has_file

from model_loader.errors import ArtifactInvalid
from serve.qa.features import Featurizer
from serve.qa.tokenizer_check import check_token_ids, load_featurizer
from tools.errors import ToolError

SENTENCEPIECE = ("spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model")
LETTER = "a"
TAKEN = (
    "The server takes tokenizers that write a pair as [CLS] question [SEP] context [SEP] or <s> question </s></s> "
    "context </s>. With the model's own vocab.txt, write one by "
    "BertTokenizerFast(vocab_file='vocab.txt').save_pretrained(DIR)"
)


def save_tokenizer(source: str, directory: Path) -> None:
    """Write tokenizer.json and the other tokenizer files of a checkpoint into a directory.

    A slow tokenizer that transformers can convert, such as vocab.txt, is converted.

    Raises: ToolError if there is no tokenizer that the Rust library can run.
    """
    config = get_tokenizer_config(source, trust_remote_code=False)
    if "auto_map" in config:
        raise ToolError(
            f"{source}: its tokenizer has code of its own (auto_map in tokenizer_config.json). This code is not run, "
            "so the tokens could differ from those that the model was trained with. If transformers' own class writes "
            "the same tokens, remove this field"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
    except (ImportError, ValueError, TypeError, AttributeError) as error:  # its own advice does not help
        raise ToolError(_why_not_loaded(source, config.get("tokenizer_class"), error)) from None
    if not tokenizer.is_fast:
        raise ToolError(no_fast_tokenizer(source, type(tokenizer).__name__))
    tokenizer.chat_template = None  # its name would become a file name, which can lead out of the directory
    tokenizer.save_pretrained(directory)


def writes_token_types(source: str) -> bool:
    """Return whether the tokenizer of a checkpoint writes token types for its model, and 1 for the context."""
    tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
    return any(tokenizer(LETTER, LETTER).get("token_type_ids", []))


def _why_not_loaded(source: str, name: str | None, error: Exception) -> str:
    """Return why a tokenizer cannot be loaded or converted, and the way out. name: its class, if a file names it."""
    if has_file(source, "tokenizer.json"):
        return f"cannot load checkpoint {source}: its tokenizer.json is damaged. Copy it again"
    if found := next((each for each in SENTENCEPIECE if has_file(source, each)), None):
        return (
            f"{source}: its tokenizer is a SentencePiece model ({found}) that transformers cannot convert to "
            "tokenizer.json. Copy it again, with the checkpoint's own tokenizer_config.json, which names its class "
            "(tokenizer_class)"
        )
    if name and not tokenizer_class_from_name(f"{name.removesuffix('Fast')}Fast"):
        return no_fast_tokenizer(source, name)
    if library := _missing_library(error):
        return (
            f"{source}: transformers needs the library {library} to convert its tokenizer ({name}). Install it here, "
            "or where it is installed, call AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR), which writes "
            "tokenizer.json"
        )
    if has_file(source, "vocab.json"):
        return (
            f"{source}: its tokenizer has the files vocab.json and merges.txt, but tokenizer_config.json does not name "
            "the class that reads them (tokenizer_class). Copy the checkpoint's own tokenizer_config.json too"
        )
    return f"{source} has no tokenizer (tokenizer.json or vocab.txt). Copy the one that the model was trained with"


def _missing_library(error: BaseException | None) -> str | None:
    """Return the library whose absence led to an error."""
    while error:
        if isinstance(error, ModuleNotFoundError):
            return error.name
        error = error.__context__
    return None


def load_saved_tokenizer(source: str, directory: Path, embedding_rows: int) -> Featurizer:
    """Load the tokenizer that save_tokenizer has written, and check that the server takes it and the model fits it.

    Raises: ToolError.
    """
    path = directory / "tokenizer.json"
    if not path.is_file():
        raise ToolError(f"{source} has no tokenizer that the Rust library can run (tokenizer.json)")
    try:
        featurizer = load_featurizer(path)
    except ArtifactInvalid as error:
        raise ToolError(f"{source}: the server cannot use its tokenizer: {error.__cause__}. {TAKEN}") from None
    try:
        check_token_ids(source, featurizer.token_ids(), embedding_rows)
    except ArtifactInvalid as error:
        raise ToolError(str(error)) from None
    return featurizer


def no_fast_tokenizer(source: str, name: str) -> str:
    """Return what is wrong with a tokenizer that runs in Python only, and the way out. name: its class."""
    return (
        f"{source}: its tokenizer ({name}) cannot be converted to tokenizer.json, which the server needs. If its files "
        "are those of BERT, convert it by BertTokenizerFast(vocab_file='vocab.txt').save_pretrained(DIR), with the "
        "path of its vocab.txt; else use a checkpoint whose AutoTokenizer has is_fast"
    )
