"""What OpenSearch does with its connector for SageMaker, and with the answer: its template, filled in and applied.

The template is that of the blueprint "sagemaker_semantic_highlighter" of OpenSearch's ml-commons, as it stands in
docs/highlighting.md. ml-commons escapes each parameter with escapeJson of Apache Commons Text, unless it is JSON. Then
the plugin neural-search puts tags into the text. Its offsets count UTF-16 units, because the text is a Java string.
"""

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "highlighting.md"
UNITS = "utf-16-le"


def request_body(**parameters: str) -> bytes:
    """Fill in the template with question and context, or with inputs, which is JSON."""
    (connector,) = (
        block for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL) if "actions" in block
    )
    (action,) = json.loads(connector)["actions"]
    filled = re.sub(
        r"\$\{parameters\.(\w+):-(.*?)\}",
        lambda match: _escaped(parameters[match[1]]) if match[1] in parameters else match[2],
        action["request_body"],
    )
    return filled.encode()


def marked(text: str, highlights: list[dict[str, Any]]) -> str:
    """Put tags around the highlights as neural-search does, which refuses highlights out of order or bounds."""
    units = text.encode(UNITS)
    result, at = "", 0
    for highlight in highlights:
        start, end = highlight["start"] * 2, highlight["end"] * 2
        assert at <= start < end <= len(units)
        result += f"{units[at:start].decode(UNITS)}<em>{units[start:end].decode(UNITS)}</em>"
        at = end
    return result + units[at:].decode(UNITS)


def _escaped(value: str) -> str:
    """Escape a parameter as Commons Text does: all but ASCII as UTF-16 units, and the slash too."""
    if value.startswith("[{"):  # inputs
        return value
    return json.dumps(value)[1:-1].replace("/", r"\/")
