"""Loads the tokenizer of an artifact, and checks that it writes the token ids that the model was made for.

A model with the wrong tokenizer runs, is healthy and answers nonsense. The hash in the manifest finds a file that was
replaced. The checks here find the rest: a tokenizer that never fitted the model, and a version of the tokenizers
library that writes other ids with the same file.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from model_loader.artifact import Artifact, installed_version
from model_loader.errors import ArtifactInvalid
from model_loader.manifest import GoldenExample, Manifest
from model_loader.signing.file_hash import verify_file
from serve.qa.features import Featurizer, WindowLimits
from serve.qa.tokenizer.cuts import RUN_CHARS

log = logging.getLogger(__name__)


def open_featurizer(artifact: Artifact) -> Featurizer:
    """Load the tokenizer of an artifact and check it. Without a manifest, there is nothing to compare it with.

    Raises: ArtifactMissing or ArtifactInvalid.
    """
    path, manifest = artifact.tokenizer_file, artifact.manifest
    if manifest:
        # The artifact was opened before the worker was forked, and the file may have changed since then.
        verify_file(path, manifest.tokenizer.sha256, manifest.tokenizer.size_bytes)
    featurizer = load_featurizer(path)
    if manifest:
        check_token_ids(path, featurizer.token_ids(), manifest.embedding_rows)
        _check_golden_texts(path, featurizer, manifest)
    if not featurizer.knows_cuts:
        log.warning(
            "%s: it is not known where texts for this tokenizer can be cut without changing a token. Texts of more "
            "than %d characters are cut there all the same, and the tokens at such a cut may differ",
            *(path, RUN_CHARS),
        )
    return featurizer


def load_featurizer(path: Path) -> Featurizer:
    """Load a tokenizer.

    Raises: ArtifactInvalid if the file is not a tokenizer, or writes pairs in another form than BERT's.
    """
    try:
        return Featurizer(path)
    except Exception as error:  # the tokenizers library raises this class itself
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ArtifactInvalid(
            f"{path} cannot be used as a tokenizer: {reason[0]}. Make the artifact again with `quantize`"
        ) from error


def check_token_ids(source: object, token_ids: Mapping[str, int], embedding_rows: int) -> None:
    """Check that the embedding has a row for each token, added tokens included.

    source: the file or the checkpoint that the tokenizer comes from, for the message.

    Raises: ArtifactInvalid, which names the token with the largest id.
    """
    token, largest = max(token_ids.items(), key=lambda item: item[1])
    if largest >= embedding_rows:
        raise ArtifactInvalid(
            f"{source}: the token {token!r} has the id {largest}, but the model's embedding has only {embedding_rows} "
            f"rows, for the ids 0 to {embedding_rows - 1}. The tokenizer belongs to another model, or tokens were "
            "added to it and the model was not resized. Quantize a checkpoint whose model and tokenizer fit each other"
        )


def _check_golden_texts(path: Path, featurizer: Featurizer, manifest: Manifest) -> None:
    """Tokenize the golden examples again, and compare their token ids with those in the manifest."""
    limits = WindowLimits(manifest.max_seq_len, doc_stride=0, max_question_len=manifest.max_seq_len)
    for number, example in enumerate(manifest.golden_examples, 1):
        if _first_window(path, featurizer, example, limits) != (example.input_ids, example.context_offset):
            raise ArtifactInvalid(
                f"{path} does not fit the model: the text of golden example {number} has other token ids than when the "
                f"artifact was made with tokenizers {manifest.made_with.tokenizers} (this machine has "
                f"{installed_version('tokenizers')}). Copy the artifact again, or make it again with `quantize`"
            )


def _first_window(
    path: Path, featurizer: Featurizer, example: GoldenExample, limits: WindowLimits
) -> tuple[list[int], int]:
    """Return the token ids of an example's first window, and the position where its context begins."""
    try:
        question_ids = featurizer.encode_question(example.question, limits)
        window = featurizer.windows(question_ids, featurizer.encode_context(example.context), limits)[0]
    except Exception as error:  # the tokenizers library raises this class itself
        raise ArtifactInvalid(
            f"{path} cannot tokenize the text of a golden example: {error}. Copy the artifact again, or make it again "
            "with `quantize`"
        ) from error
    return window.input_ids.tolist(), window.context_offset
