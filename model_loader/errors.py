"""What can go wrong between an artifact on disk and a warm model.

ModelLoadError
 x ArtifactMissing        nothing to load at the place named
 x ArtifactInvalid        a file is damaged, incomplete or of another schema
 x PrecisionUnsupported   this machine or these libraries cannot run what was asked for
 x WarmupFailed           the model loaded but does not run as it did when it was made
"""


class ModelLoadError(Exception):
    """The server cannot start with this artifact."""


class ArtifactMissing(ModelLoadError):
    """There is no artifact, or a file of it is missing."""


class ArtifactInvalid(ModelLoadError):
    """The artifact is there but damaged, incomplete or of an unknown schema."""


class PrecisionUnsupported(ModelLoadError):
    """The CPU, the installed versions or the artifact do not allow a precision that was asked for."""


class WarmupFailed(ModelLoadError):
    """The model loaded, but a pass fails, gives other numbers than it should, or runs unfused."""
