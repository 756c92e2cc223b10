"""The shell commands in the comment at the top of a YAML file in deploy/."""

from itertools import takewhile


def commands_in_comment(text: str) -> list[str]:
    """Return the commands, each on one line. They are indented by three spaces."""
    comment = "\n".join(takewhile(lambda line: line.startswith("#"), text.splitlines()))
    return [line[4:] for line in comment.replace("\\\n#", "").splitlines() if line.startswith("#   ")]
