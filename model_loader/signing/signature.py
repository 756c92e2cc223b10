"""The signature of an artifact: the Ed25519 signature of its manifest.json.

The manifest has the hash of every file that is loaded. The signature is a file of 64 bytes beside it. `openssl pkeyutl`
reads and writes the same format.
"""

import logging
from pathlib import Path

from container.access.trusted_keys import TrustedKeys
from model_loader.errors import ArtifactInvalid

log = logging.getLogger(__name__)

FILE_NAME = "manifest.json.sig"
SIGNATURE_BYTES = 64
REMEDY = "Sign it with `python -m tools.sign --key KEY.pem DIR`, serve another artifact, or name another TRUSTED_KEY"


def check(manifest: Path, content: bytes, trusted: TrustedKeys) -> None:
    """Check that a trusted key has signed a manifest. content: the bytes of the manifest that are going to be used.

    Raises: ArtifactInvalid.
    """
    path = manifest.with_name(FILE_NAME)
    try:
        with path.open("rb") as file:
            signature = file.read(SIGNATURE_BYTES + 1)
    except FileNotFoundError:
        raise unsigned(manifest.parent) from None
    except OSError as error:
        raise ArtifactInvalid(f"{path} cannot be read: {error.strerror}. Copy the artifact again") from None
    signer = trusted.signer_of(content, signature)
    if signer is None:
        raise ArtifactInvalid(
            f"{path} is not the signature of this {manifest.name} by a key in TRUSTED_KEY: the artifact was changed "
            f"after it was signed, or somebody else signed it. {REMEDY}"
        )
    log.info("%s is signed by the key in TRUSTED_KEY whose SHA-256 is %s", manifest.parent, signer)


def unsigned(directory: Path) -> ArtifactInvalid:
    """Return the error about an artifact that has no signature."""
    return ArtifactInvalid(
        f"{directory} is not signed: it has no {FILE_NAME}, and TRUSTED_KEY is set, so that the server loads only "
        f"signed artifacts. {REMEDY}"
    )
