"""Questions for a server whose guard compares every answer, and a model whose INT8 answers differ from FP32's."""

import hashlib
import json
import re
from pathlib import Path

from tests.artifacts import edit_manifest, replace
from tests.engines import needs_torch
from tests.server.questions import post
from tests.server.server_process import metric_lines
from tests.waiting import wait_until
from tools.local_server import LocalServer

EXAMPLES = Path(__file__).parents[2] / "models" / "demo" / "held_out.json"


def questions(count: int) -> list[dict[str, str]]:
    """Return the first held-out questions of the demo model, as bodies of requests."""
    articles = json.loads(EXAMPLES.read_text())["data"]
    return [
        {"question": each["question"], "context": paragraph["context"]}
        for article in articles
        for paragraph in article["paragraphs"]
        for each in paragraph["qas"]
    ][:count]


def outcomes(server: LocalServer) -> dict[str, float]:
    """Return how many answers had each outcome in the guard."""
    lines = metric_lines(server, "bertqa_guard_answers_total")
    found = (re.match(r'bertqa_guard_answers_total\{result="(\w+)"\} (.+)', line) for line in lines)
    return {match[1]: float(match[2]) for match in found if match and float(match[2])}


def outcomes_after(server: LocalServer, count: int) -> dict[str, float]:
    """Ask this many questions one after the other, and wait for the guard after each. Return the outcomes."""
    for asked, body in enumerate(questions(count), 1):
        post(server, body).raise_for_status()
        wait_until("the guard has run", lambda asked=asked: sum(outcomes(server).values()) == asked, 120)
    return outcomes(server)


def damage(artifact: Path) -> None:
    """Multiply the scales of the weights of one INT8 layer by 4. The hash is right.

    Multiplying the scale of an activation would not be enough. It makes the activation coarser by two bits, which
    the golden examples cannot tell from rounding.
    """
    torch = needs_torch()
    import intel_extension_for_pytorch  # noqa: F401 - registers the operators of the file

    file = artifact / "model_int8.pt"
    model = torch.jit.load(file)
    weights = [node.inputsAt(0).node() for node in model.graph.nodes() if node.kind() == "aten::dequantize"]
    weights = [node for node in weights if node.kind() == "prim::Constant"]
    middle = weights[len(weights) // 2]
    weight = middle.t("value")
    scales, zero_points = weight.q_per_channel_scales(), weight.q_per_channel_zero_points()
    axis = weight.q_per_channel_axis()
    changed = torch._make_per_channel_quantized_tensor(weight.int_repr(), 4 * scales, zero_points, axis)
    middle.t_("value", changed)
    saved = artifact / "damaged.pt"
    torch.jit.save(model, saved)
    content = saved.read_bytes()
    saved.unlink()
    replace(file, content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    edit_manifest(artifact, lambda manifest: manifest["precisions"]["INT8"].update(entry))


def accept_any_logits(artifact: Path) -> None:
    """Raise the limit on the difference of the golden examples so far that a damaged model is served."""
    edit_manifest(artifact, lambda manifest: manifest["precisions"]["INT8"].update(rms_difference=100.0))
