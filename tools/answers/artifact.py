"""Answers of an artifact that runs in this process, without a server."""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from container import contract, cpu
from container.cpu import CpuUnsupported
from container.precision import Precision
from model_loader.artifact import installed_version, open_artifact
from model_loader.errors import ModelLoadError
from model_loader.signing.file_hash import sha256_of
from serve.api.body.answers import answer_body
from serve.errors import RequestError
from serve.qa.features import WindowLimits
from serve.qa.ranking.calibration import Calibration
from serve.qa.spans import SpanRules
from serve.qa.tokenizer_check import open_featurizer
from tools.answers.source import Reply, rules_of_question
from tools.errors import ToolError
from tools.local_model import Cutter, LocalModel
from tools.squad.examples import Example
from tools.squad.rules import MAX_QUESTION_LEN, SPECIAL_TOKENS

T = TypeVar("T")
PACKAGES = ("torch", "intel-extension-for-pytorch", "tokenizers", "numpy")


class ArtifactSource:
    """An artifact as an AnswerSource. A precision's model is loaded when its first answer is asked for."""

    def __init__(
        self, model_dir: Path, wanted: tuple[Precision, ...] | None, max_question_len: int = MAX_QUESTION_LEN
    ) -> None:
        """Check the artifact. wanted: the precisions to answer in; None: all that the artifact has.

        Raises: ToolError.
        """
        try:
            self._cpu = cpu.detect()
            self._artifact = artifact = open_artifact(model_dir, wanted, self._cpu)
            limits = WindowLimits(artifact.max_seq_len, artifact.doc_stride, max_question_len)
            self._cutter = Cutter(open_featurizer(artifact), limits)
        except (ModelLoadError, CpuUnsupported) as error:
            raise ToolError(str(error)) from None
        if artifact.task != "question-answering":
            raise ToolError(
                f"{model_dir} holds a token-relevance model, which has no answers. Measure its highlights: "
                "python -m tools.evaluate.highlights"
            )
        if (room := limits.max_seq_len - limits.doc_stride - SPECIAL_TOKENS - 1) < max_question_len:
            raise ToolError(
                f"--max-question-len {max_question_len}: the windows of {artifact.name} have room for a question of at "
                f"most {room} tokens. Name a smaller number"
            )
        self.question_limit = self._cutter.question_limit
        self._files = {file.precision: file for file in artifact.models}
        self._sha256 = {file.precision: sha256_of(Path(file.path)) for file in artifact.models}
        self.precisions: Sequence[Precision] = list(self._files)

    def info(self) -> Mapping[str, Any]:
        """Describe this process in the form of the server's /info, as one lane over all cores."""
        artifact = self._artifact
        return {
            "version": contract.VERSION,
            "model": {
                "name": artifact.name,
                "has_manifest": artifact.manifest is not None,
                "max_seq_len": artifact.max_seq_len,
                "doc_stride": artifact.doc_stride,
                "no_answer_threshold": artifact.no_answer_threshold,
                "temperature": artifact.temperature,
                "log_odds_shift": artifact.log_odds_shift,
            },
            "precisions": {
                precision: {
                    "engine": file.engine,
                    "fused_groups": file.fused_groups,
                    "sha256": self._sha256[precision],
                }
                for precision, file in self._files.items()
            },
            "cpu": {"model": self._cpu.model, "isa": self._cpu.isa, "quota": self._cpu.quota},
            "lanes": [{"name": "in process", "cores": sorted(self._cpu.cores)}],
            "versions": {
                "python": platform.python_version(),
                **{package: installed_version(package) for package in PACKAGES},
            },
        }

    def identity(self, precision: Precision) -> Mapping[str, Any]:
        """Return the hashes of the model and the tokenizer, and the CPU and versions that run them."""
        info = self.info()
        return {
            "sha256": self._sha256[precision],
            "tokenizer": sha256_of(self._artifact.tokenizer_file),
            **{name: info[name] for name in ("version", "model", "cpu", "versions")},
        }

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[Reply]:
        """Yield one reply after the other. Each is computed on all cores.

        Raises: ToolError.
        """
        artifact = self._artifact
        rules = replace(
            rules_of_question(rules),
            no_answer_threshold=artifact.no_answer_threshold,
            calibration=Calibration.of(artifact.temperature, artifact.log_odds_shift),
        )

        def reply(model: LocalModel, example: Example) -> Reply:
            return Reply.of([answer_body(answer) for answer in model.answers(example, rules)])

        return self._each(precision, examples, reply)

    def best_candidates(
        self, precision: Precision, examples: Sequence[Example], rules: SpanRules, temperatures: Sequence[float]
    ) -> Iterator[tuple[str, list[float]]]:
        """Yield the text of each question's best candidate, with its score at each temperature.

        The artifact's own calibration and its threshold are left aside.

        Raises: ToolError.
        """
        return self._each(
            precision, examples, lambda model, example: model.best_candidate(example, rules, temperatures)
        )

    def _each(
        self, precision: Precision, examples: Sequence[Example], ask: Callable[[LocalModel, Example], T]
    ) -> Iterator[T]:
        try:
            model = LocalModel(self._files[precision], self._cutter)
        except ModelLoadError as error:
            raise ToolError(str(error)) from None
        for example in examples:
            try:
                yield ask(model, example)
            except (RequestError, ModelLoadError) as error:
                raise ToolError(f"question {example.id}: {error}") from None
