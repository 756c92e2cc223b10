"""Load a model file on the engine that the file was made for. Only this engine is imported."""

from model_loader.engines.qa_model import QAModel
from model_loader.model_file import ModelFile


def load(file: ModelFile, threads: int | None = None) -> QAModel:
    """Load a model file. With one thread, the process can still fork safely afterwards.

    threads: of each pass; None leaves the number to the engine.

    Raises: PrecisionUnsupported if the engine is not installed, ArtifactInvalid if it cannot load the file.
    """
    if file.engine == "openvino":
        from model_loader.engines import openvino_ir

        return openvino_ir.load(file, threads)
    from model_loader.engines import torchscript

    model = torchscript.load(file)
    if threads:
        model.use_threads(threads)
    return model
