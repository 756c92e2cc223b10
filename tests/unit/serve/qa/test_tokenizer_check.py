"""A tokenizer that does not fit the model is refused, whatever its hash is."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from container.cpu import Cpu
from model_loader.artifact import Artifact, open_artifact
from model_loader.errors import ArtifactInvalid
from model_loader.signing.file_hash import sha256_of
from serve.qa.tokenizer_check import check_token_ids, open_featurizer
from tests.artifacts import edit_manifest

CPU = Cpu("any", "AVX512_CORE_BF16", ((0,),), None)
Content = dict[str, Any]


def with_tokenizer(directory: Path, change: Callable[[Content], object]) -> Artifact:
    """Change tokenizer.json and write its new hash into the manifest, as one who mixes up files would not."""
    path = directory / "tokenizer.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    edit_manifest(
        directory,
        lambda manifest: manifest["tokenizer"].update(sha256=sha256_of(path), size_bytes=path.stat().st_size),
    )
    return open_artifact(directory, ("INT8",), CPU)


def shuffle(content: Content) -> None:
    vocabulary = content["model"]["vocab"]
    ids = [id_ for id_ in vocabulary.values() if id_ > 998]
    shuffled = iter(random.Random(0).sample(ids, len(ids)))
    content["model"]["vocab"] = {token: next(shuffled) if id_ > 998 else id_ for token, id_ in vocabulary.items()}


def shuffle_a_hundredth(content: Content) -> None:
    vocabulary = content["model"]["vocab"]
    tokens = [token for token, id_ in vocabulary.items() if id_ > 998]
    chosen = random.Random(0).sample(tokens, len(tokens) // 100)
    ids = [vocabulary[token] for token in chosen]
    vocabulary.update(zip(chosen, ids[1:] + ids[:1], strict=True))


def keep_capitals(content: Content) -> None:
    content["normalizer"]["lowercase"] = False


def keep_accents(content: Content) -> None:
    content["normalizer"]["strip_accents"] = False


def join_chinese_characters(content: Content) -> None:
    content["normalizer"]["handle_chinese_chars"] = False


def change_prefix(content: Content) -> None:
    content["model"]["continuing_subword_prefix"] = "@@"


def change_longest_word(content: Content) -> None:
    content["model"]["max_input_chars_per_word"] = 10_000


def test_the_demo_tokenizer_passes(demo_dir: Path) -> None:
    assert open_featurizer(open_artifact(demo_dir, ("INT8",), CPU)).token_ids()["[PAD]"] == 0


@pytest.mark.parametrize(
    "change",
    [
        shuffle,
        shuffle_a_hundredth,
        keep_capitals,
        keep_accents,
        join_chinese_characters,
        change_prefix,
        change_longest_word,
    ],
)
def test_a_tokenizer_that_writes_other_ids_is_refused(artifact_copy: Path, change: Callable[[Content], object]) -> None:
    artifact = with_tokenizer(artifact_copy, change)
    with pytest.raises(ArtifactInvalid, match=r"tokenizer\.json does not fit the model: the text of golden example \d"):
        open_featurizer(artifact)


def test_an_added_token_without_a_row_in_the_embedding_is_named(artifact_copy: Path) -> None:
    def add(content: Content) -> None:
        token = {**content["added_tokens"][0], "id": 30522, "content": "[NEW]"}
        content["added_tokens"].append(token)

    artifact = with_tokenizer(artifact_copy, add)
    with pytest.raises(ArtifactInvalid, match=r"the token '\[NEW\]' has the id 30522, .* only 30522 rows"):
        open_featurizer(artifact)


def test_one_id_beyond_the_embedding_is_found_even_if_there_are_fewer_tokens_than_rows(artifact_copy: Path) -> None:
    def leave_a_gap(content: Content) -> None:
        vocabulary = content["model"]["vocab"]
        del vocabulary["[unused1]"], vocabulary["[unused2]"]
        vocabulary["[unused3]"] = 30600

    artifact = with_tokenizer(artifact_copy, leave_a_gap)
    with pytest.raises(ArtifactInvalid, match=r"the token '\[unused3\]' has the id 30600"):
        open_featurizer(artifact)


def test_the_ids_that_frame_a_pair_need_rows_too(artifact_copy: Path) -> None:
    def frame_with_other_ids(content: Content) -> None:
        content["post_processor"]["special_tokens"]["[SEP]"]["ids"] = [40000]

    artifact = with_tokenizer(artifact_copy, frame_with_other_ids)
    with pytest.raises(ArtifactInvalid, match=r"the token '\[SEP\]' has the id 40000"):
        open_featurizer(artifact)


def test_every_id_below_the_number_of_rows_is_accepted() -> None:
    check_token_ids("x", {"a": 0, "b": 9}, 10)
    with pytest.raises(ArtifactInvalid, match="x: the token 'b' has the id 9, .* only 9 rows, for the ids 0 to 8"):
        check_token_ids("x", {"a": 0, "b": 9}, 9)


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b'{"version": "1.0"}', b"\xff\x00"])
def test_a_damaged_tokenizer_is_refused_also_without_a_manifest(artifact_copy: Path, content: bytes) -> None:
    (artifact_copy / "manifest.json").unlink()
    (artifact_copy / "tokenizer.json").write_bytes(content)
    with pytest.raises(ArtifactInvalid, match=r"tokenizer\.json cannot be used as a tokenizer: \w"):
        open_featurizer(open_artifact(artifact_copy, ("INT8",), CPU))


def test_a_tokenizer_that_cannot_write_an_unknown_word_is_refused(artifact_copy: Path) -> None:
    def forget_the_unknown_token(content: Content) -> None:
        content["model"]["unk_token"] = "[NONE]"

    artifact = with_tokenizer(artifact_copy, forget_the_unknown_token)
    with pytest.raises(ArtifactInvalid, match=r"cannot tokenize the text of a golden example"):
        open_featurizer(artifact)
