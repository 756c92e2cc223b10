"""Sign an artifact, so that a server with TRUSTED_KEY loads it.

The signature is that of manifest.json, which has the hashes of the model files and of the tokenizer. These files are
verified first. Sign last: commands that change the manifest, such as `evaluate --calibrate`, make it invalid.

Make a key pair once, keep the private key where only those who publish models can read it, and give the servers the
public key:

  openssl genpkey -algorithm ed25519 -out signing-key.pem
  openssl pkey -in signing-key.pem -pubout -out trusted-key.pem
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from model_loader import manifest as manifests
from model_loader.signing.file_hash import verify_file
from model_loader.signing.signature import FILE_NAME
from tools.arguments import command_parser
from tools.errors import ToolError, run

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sign(directory: Path, key: "Ed25519PrivateKey") -> Path:
    """Verify the files of an artifact, and write its signature. Return the path of the signature.

    Raises: ToolError, ArtifactMissing or ArtifactInvalid.
    """
    path = directory / manifests.FILE_NAME
    content = path.read_bytes() if path.is_file() else b""
    manifest = manifests.read(directory)
    for file in manifest.files:
        verify_file(directory / file.file, file.sha256, file.size_bytes)
    target = directory / FILE_NAME
    new = target.with_suffix(".sig.new")
    try:
        new.write_bytes(key.sign(content))
        os.replace(new, target)
    except OSError as error:
        raise ToolError(f"{target} cannot be written: {error.strerror}") from None
    return target


def read_private_key(path: Path) -> "Ed25519PrivateKey":
    """Read a private key in PEM format.

    Raises: ToolError.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ToolError(f"--key {path}: cannot be read: {error.strerror}") from None
    except TypeError:
        raise ToolError(
            f"--key {path}: is encrypted. Sign with OpenSSL, which asks for the passphrase: openssl pkeyutl -sign "
            f"-rawin -inkey {path} -in DIR/{manifests.FILE_NAME} -out DIR/{FILE_NAME}"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ToolError(f"--key {path}: is not a private key in PEM format") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ToolError(f"--key {path}: must be an Ed25519 key; `openssl genpkey -algorithm ed25519` makes one")
    return key


def main() -> None:
    """Sign the artifact that the arguments name."""
    parser: argparse.ArgumentParser = command_parser("python -m tools.sign", __doc__)
    parser.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="the private key, an Ed25519 key in PEM"
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the artifact")
    given = parser.parse_args()
    print(f"wrote {sign(given.directory, read_private_key(given.key))}")


if __name__ == "__main__":
    run(main)
