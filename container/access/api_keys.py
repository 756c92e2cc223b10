"""The API keys of the server, and whether a request has one of them.

The server keeps digests only. The settings, which the server logs, hold the path of the file and no key.
"""

import hashlib
import hmac
import re
from pathlib import Path

from container.settings import Settings
from container.validation import environment
from container.validation.environment import SettingsError

# RFC 6750, section 2.1: the characters of a token in a header. A shorter key could be found by trying.
KEY = re.compile(rb"[A-Za-z0-9._~+/-]{16,512}=*")
KEY_RULE = "16 to 512 letters, digits or - . _ ~ + /, such as the output of `openssl rand -hex 32`"
FILE_BYTES = 65_536  # more than a hundred keys
SCHEME = b"bearer"


class ApiKeys:
    """The keys that the server accepts."""

    def __init__(self, keys: list[bytes]) -> None:
        self._digests = [_digest(key) for key in keys]

    def accept(self, authorization: bytes) -> bool:
        """Whether the value of an Authorization header has one of the keys.

        Digests are compared, in constant time: how long it takes says nothing about a key, not even its length.
        """
        scheme, _, token = authorization.partition(b" ")
        given = _digest(token.strip(b" "))
        is_known = False
        for digest in self._digests:
            is_known |= hmac.compare_digest(digest, given)
        return is_known and scheme.lower() == SCHEME


def read_api_keys(settings: Settings) -> ApiKeys | None:
    """Read the file that API_KEY_FILE names; return None if it names none.

    Raises: SettingsError. Its message contains nothing of the file.
    """
    return ApiKeys(read_keys(settings)) if settings.api_key_file else None


def read_keys(settings: Settings) -> list[bytes]:
    """Return the keys in the file that API_KEY_FILE names.

    Raises: SettingsError. Its message contains nothing of the file.
    """
    try:
        with Path(settings.api_key_file).open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not a path"
        raise _refusal(f"the file cannot be read ({reason}); name a file that this user may read") from None
    if len(content) > FILE_BYTES:
        raise _refusal(f"the file is larger than {FILE_BYTES} bytes; it must have one API key on each line")
    keys = [line.strip() for line in content.splitlines() if line.strip()]
    for number, key in enumerate(keys, 1):
        if not KEY.fullmatch(key):
            raise _refusal(f"API key {number} of the file cannot be used; a key is {KEY_RULE}")
    if not keys:
        raise _refusal("the file has no API key; write one key on each line")
    return keys


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _refusal(message: str) -> SettingsError:
    return environment.refusal(Settings.model_fields["api_key_file"], message)
