"""Why AWS has not answered a question, in words that say what to do."""

from tools.remote.aws import AwsError

_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403")


def reason(error: AwsError) -> str:
    """Return a sentence about an error of AWS."""
    denied = "you may not call it. " if error.code in _DENIED else ""
    return f"{error.code}: {denied}{error.message}".strip()
