"""Find names of fields that are misspelled or in the wrong place.

Other fields are ignored, because a data set has columns of its own. But a parameter that is ignored would give answers
that nobody has asked for, so each name that is meant for the server is used or refused.
"""

import difflib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, get_args

from container.tasks.names import Task
from serve.api import schemas
from serve.errors import InvalidRequest

PARAMETERS = frozenset(schemas.Parameters.model_fields)
OF_AN_ITEM = frozenset(schemas.Item.model_fields) | frozenset(schemas.PassagesItem.model_fields)
TASKS = get_args(Task)
LISTS = frozenset({"inputs", "instances"})
OF_A_REQUEST = LISTS | OF_AN_ITEM
# The fields that make a form. What resembles them may be a column of a data set, such as "question_id" or "input".
OF_A_FORM = frozenset(schemas.OF_AN_ITEM) | LISTS
# The names that a client may use for something else.
NOT_MEANT = OF_A_FORM | {"task"}
NAME_CHARACTERS = 32  # a longer name resembles none of ours
SIMILARITY = 0.85  # of difflib, 0 to 1: "paramters" is meant for "parameters", and "position" is not for "precision"
# Other names for ours, without underscores: those of run_squad.py, of transformers' models and of other servers.
SYNONYMS = {
    "version": "precision",
    "dtype": "precision",
    "torchdtype": "precision",
    "param": "parameters",
    "params": "parameters",
    "kwargs": "parameters",
    "generationparameters": "parameters",
    "maxseqlength": "max_seq_len",
    "maxsequencelength": "max_seq_len",
    "maxlength": "max_seq_len",
    "maxquerylength": "max_question_len",
    "maxquestionlength": "max_question_len",
    "maxanswerlength": "max_answer_len",
    "stride": "doc_stride",
    "documentstride": "doc_stride",
    "topn": "top_k",
    "nbest": "top_k",
    "nbestsize": "top_k",
    "numanswers": "top_k",
    "handleimpossible": "handle_impossible_answer",
    "alignwords": "align_to_words",
    "nullscorediffthreshold": "no_answer_threshold",
    "noansthreshold": "no_answer_threshold",
    "nullthreshold": "no_answer_threshold",
}


def check(value: Mapping[str, Any], known: frozenset[str], default_task: Task, *place: str | int) -> None:
    """Check the names of an object that may have the known ones. place: where in the request the object is.

    A field `task` outside of the parameters is ignored, as any column of a data set is, unless it names a task other
    than the default one, so that ignoring it would change the answer.

    Raises: InvalidRequest.
    """
    for name in value:
        if name in known:
            continue
        path = ".".join(map(str, place))
        own = f"{path}.{name}" if path else name
        if name in PARAMETERS and (name != "task" or (value[name] in TASKS and value[name] != default_task)):
            raise InvalidRequest(f'{own}: belongs into parameters: "parameters": {{"{name}": ...}}')
        if name in LISTS:
            raise InvalidRequest(f"{own}: belongs at the top of the request, and not into an item")
        if (meant := meant_name(name)) and meant not in NOT_MEANT:
            own = f"{path}: a field" if path else "a field of the request"
            where = f', as in "parameters": {{"{meant}": ...}}' if meant in PARAMETERS else ""
            raise InvalidRequest(f"{own} has a name that is not known; did you mean {meant}{where}?")


def check_meant(value: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Say what a field that is not known may have meant, where one that is known is missing.

    Other fields are ignored, because the platform may add some. The message does not repeat a name that a client chose.

    Raises: InvalidRequest.
    """
    for name in value if any(one not in value for one in known) else ():
        if name not in known:
            plain = _plain(name[:NAME_CHARACTERS])
            meant = [one for one in known if plain and (plain.endswith(_plain(one)) or _plain(one).endswith(plain))]
            advice = f"did you mean {meant[0]}? The" if meant else "the"
            raise InvalidRequest(
                f"the request has a field whose name is not known; {advice} fields are {' and '.join(known)}"
            )


def none_of_a_form(value: Mapping[str, Any]) -> InvalidRequest:
    """Return the error of a request that has the fields of no form."""
    if "data" in value:
        return InvalidRequest(
            "the request has no question. If it is a file in SQuAD's format, `python -m tools.invoke --data FILE` asks "
            "the questions in it"
        )
    meant = next((meant for name in value if (meant := meant_name(name)) in OF_A_FORM), None)
    advice = f"; did you mean {meant}?" if meant else ""
    return InvalidRequest(
        "the request has none of question, inputs and instances; send one question as "
        f'{{"question": "...", "context": "..."}}, or several as {{"inputs": [...]}}{advice}'
    )


def meant_name(name: str) -> str | None:
    """Return the name of ours that a client most probably meant, or None for the name of something else."""
    return _meant_name(name) if len(name) <= NAME_CHARACTERS else None


def unknown_parameter(name: str) -> str:
    """Return what is wrong with a name in `parameters`, without repeating it unless it is one of ours."""
    if name in OF_A_REQUEST:
        return f"{name} belongs beside parameters, and not into it"
    meant = meant_name(name)
    if meant in PARAMETERS:
        return f"has a name that is not known; did you mean {meant}?"
    return f"has a name that is not known; the known names are {', '.join(schemas.PARAMETER_NAMES)}"


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


_OURS = {_plain(name): name for name in (*PARAMETERS, *OF_A_REQUEST)}
_BY_PLAIN_NAME = _OURS | SYNONYMS


@lru_cache(maxsize=4096)  # the items of a list have the same names
def _meant_name(name: str) -> str | None:
    plain = _plain(name)
    if plain in _BY_PLAIN_NAME:
        return _BY_PLAIN_NAME[plain]
    letters = sorted(plain)
    for ours, meant in _BY_PLAIN_NAME.items():
        if letters == sorted(ours):  # two letters have changed places
            return meant
    if any(plain.startswith(ours) and len(plain) > len(ours) + 1 for ours in _OURS):
        return None  # a name of its own, such as "version_id"
    similar = difflib.get_close_matches(plain, _BY_PLAIN_NAME, n=1, cutoff=SIMILARITY)
    return _BY_PLAIN_NAME[similar[0]] if similar else None
