"""One of schemathesis' checks, changed for the rules that a JSON schema cannot express. See SCHEMATHESIS_HOOKS.

A request that follows the schema may still be refused, because of the artifact (`precision_unavailable`, or a
`max_seq_len` above its maximum), because of two fields together (`doc_stride` and `max_seq_len`, or a question of
more than `max_question_len` tokens, or a `version` that is not its `precision`, or a parameter that its `task` does
not have), because the tokenizer leaves nothing of a question (of control characters, for example), because a field of
another name resembles one of ours, or because of its cost (`document_too_long`). Every other refusal is a failure.
"""

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

NO_TOKENS = "question: has no words"
WITHOUT_SCHEMA = {"precision_unavailable", "document_too_long"}
OF_ONE_TASK = ("acts only on highlights", "highlights have no logits")
TOGETHER = ("doc_stride", "max_seq_len", "max_question_len", "precision and version", "did you mean", *OF_ONE_TASK)


@schemathesis.check
def valid_data_is_accepted(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> bool | None:
    """Check that a request that follows the schema is accepted, or refused for one of the reasons above."""
    if response.status_code == 422:
        error = response.json()
        if error["error_type"] in WITHOUT_SCHEMA or any(name in error["error"] for name in (*TOGETHER, NO_TOKENS)):
            return None
    return positive_data_acceptance(ctx, response, case)
