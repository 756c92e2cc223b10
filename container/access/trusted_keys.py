"""The public keys of those whose artifacts the server loads, and whether one of them made a signature."""

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from container.settings import Settings
from container.validation import environment
from container.validation.environment import SettingsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FILE_BYTES = 65_536
END = "-----END PUBLIC KEY-----"
RULE = "write Ed25519 public keys in PEM format into it, as `openssl pkey -in KEY.pem -pubout` prints them"


class TrustedKeys:
    """The keys that TRUSTED_KEY names. There are several while a key is replaced."""

    def __init__(self, keys: "list[Ed25519PublicKey]") -> None:
        self._keys = keys

    def signer_of(self, content: bytes, signature: bytes) -> str | None:
        """Return the fingerprint of the key that has signed this content; None if none of the keys has."""
        from cryptography.exceptions import InvalidSignature

        for key in self._keys:
            try:
                key.verify(signature, content)
            except InvalidSignature:
                continue
            return _fingerprint(key)
        return None


def _fingerprint(key: "Ed25519PublicKey") -> str:
    """Return the SHA-256 of a key in DER, as `openssl pkey -pubin -in FILE -outform DER | sha256sum` prints it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def read_trusted_keys(settings: Settings) -> TrustedKeys | None:
    """Read the file that TRUSTED_KEY names; return None if it names none.

    Raises: SettingsError.
    """
    if not settings.trusted_key:
        return None
    try:
        with Path(settings.trusted_key).open("rb") as file:
            content = file.read(FILE_BYTES + 1)
        blocks = content.decode("ascii").split(END)[:-1]
    except OSError as error:
        raise _refusal(f"the file cannot be read ({error.strerror}); name a file that this user may read") from None
    except ValueError:
        raise _refusal(f"the file is not a PEM file; {RULE}") from None
    if not blocks or len(content) > FILE_BYTES:
        raise _refusal(f"the file has no public key in PEM format, or is larger than {FILE_BYTES} bytes; {RULE}")
    return TrustedKeys([_public_key(block + END) for block in blocks])


def _public_key(block: str) -> "Ed25519PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise _refusal(f"the file has a public key that cannot be read; {RULE}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise _refusal(f"the file has a public key of another algorithm; {RULE}")
    return key


def _refusal(message: str) -> SettingsError:
    return environment.refusal(Settings.model_fields["trusted_key"], message)
