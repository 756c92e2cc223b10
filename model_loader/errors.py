"""Everything that can go wrong between an artifact on disk and a warm model.

ModelLoadError
 x ArtifactMissing        the artifact, or one of its files, does not exist
 x ArtifactInvalid        a file is damaged, incomplete or has another schema
 x PrecisionUnsupported   the CPU, the libraries or the artifact do not support the precision
 x WarmupFailed           the model loads, but does not run as it did when it was quantized
"""


class ModelLoadError(Exception):
    """The server cannot start with this artifact."""


class ArtifactMissing(ModelLoadError):
    """The artifact, or one of its files, does not exist."""


class ArtifactInvalid(ModelLoadError):
    """The artifact exists, but a file is damaged, incomplete or has an unknown schema."""


class PrecisionUnsupported(ModelLoadError):
    """The CPU, the installed libraries or the artifact do not support the precision."""


class WarmupFailed(ModelLoadError):
    """The model loads, but a forward pass fails, is not fused, or returns logits that are too different."""
