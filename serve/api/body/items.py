"""Convert the items of a request into questions: single ones, lists of them, and lists of questions and contexts."""

from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from container.precision import Precision
from container.validation import messages
from serve.api import schemas
from serve.api.body import field_names
from serve.api.schemas import Item, PassagesItem, WithPrecision
from serve.errors import InvalidRequest, PayloadTooLarge
from serve.qa.highlight.task import DEFAULT_TASKS, TaskDefaults
from serve.qa.types import ALONE, Place, Question
from serve.qa.types import Parameters as SearchParameters

Model = TypeVar("Model", bound=BaseModel)
EMPTY: tuple[Any, ...] = (None, "", [], {})


class Limits(NamedTuple):
    """The largest number of items in one JSON object, and of characters in all of their texts together.

    defaults: what the items ask for if they do not say so.
    """

    max_items: int
    max_characters: int
    defaults: TaskDefaults = DEFAULT_TASKS


class Shared(NamedTuple):
    """What applies to the items of a request that have no precision or parameters of their own."""

    precision: Precision | None
    parameters: SearchParameters
    defaults: TaskDefaults

    @classmethod
    def of(cls, request: WithPrecision | None, defaults: TaskDefaults) -> "Shared":
        """Return what a request says about all of its items; None: nothing."""
        if request is None or request.parameters is None:
            return cls(request.wanted_precision if request else None, defaults.parameters({}), defaults)
        return cls(request.wanted_precision, request.parameters.to_search_parameters(defaults), defaults)


def expanded(item: dict[str, Any], before: str, shared: Shared, limits: Limits) -> list[Question]:
    """Return the questions for which lists of questions and contexts stand, as in Hugging Face's pipeline.

    before: what stands before the path of the item's fields.
    """
    questions, contexts = item.get("question"), item.get("context")
    if not isinstance(questions, list):
        raise InvalidRequest(
            f"{before}question: must be a list too, if context is one, with a question for each context"
        )
    lists = tuple(name for name in ("question", "context") if isinstance(item.get(name), list))
    if not isinstance(contexts, list):
        contexts = [contexts] * len(questions)
    if len(questions) != len(contexts):
        raise InvalidRequest(
            f"{before}question: is a list of {len(questions)}, and context a list of {len(contexts)}; send two lists "
            "of equal length, or one context"
        )
    if "context" not in item:
        raise InvalidRequest(f"{before}context: is missing")
    check_items(len(questions), limits)
    own: dict[str, Any] = {name: item[name] for name in ("precision", "version", "parameters") if name in item}
    expanded = []
    for index, (question, context) in enumerate(zip(questions, contexts, strict=True)):
        place = Place(before, index, lists)
        one = {"question": question, "context": context, **own}
        expanded.append(question_of(validate(Item, one, place), shared, place))
    return expanded


def has_passages(item: dict[str, Any], place: Place, limits: Limits) -> bool:
    """Whether an item that has the field contexts asks about these passages, and not about a context.

    Raises: InvalidRequest if it does both, PayloadTooLarge if there are too many passages.
    """
    contexts, context = item["contexts"], item.get("context")
    is_list = isinstance(item.get("question"), list)
    if contexts in EMPTY:
        return isinstance(contexts, list) and context in EMPTY and not is_list
    if is_list or (context and isinstance(context, list)):
        raise InvalidRequest(
            f"{place.path('contexts')}: cannot stand beside a list of questions or contexts; send one item with "
            "contexts for each question"
        )
    if context not in EMPTY:
        raise InvalidRequest(f"{place.path('contexts')}: stands beside context; send one of the two")
    if isinstance(contexts, list):
        check_items(len(contexts), limits, "passages")
    return True


def check_items(items: int, limits: Limits, kind: str = "items") -> None:
    """Compare the number of items with its limit; each passage of an item counts.

    Raises: PayloadTooLarge.
    """
    if items > limits.max_items:
        raise PayloadTooLarge(
            f"the request has {items} {kind}, and {limits.max_items} are allowed; split it into several requests, or "
            "raise MAX_ITEMS"
        )


def questions_of(name: str, items: list[Any], shared: Shared, limits: Limits) -> list[Question]:
    """Convert the items of a list, which has this name in the request.

    One item at a time is validated, and then dropped from the list. Otherwise all of them, and what is wrong with each,
    would be in memory at once.
    """
    check_items(len(items), limits)
    questions = []
    passages = 0
    for index, item in enumerate(items):
        items[index] = None
        place = Place(f"{name}.{index}.")
        if isinstance(item, dict):
            field_names.check(item, field_names.OF_AN_ITEM, limits.defaults.task, name, index)
            if "contexts" in item and has_passages(item, place, limits):
                questions.append(question_of(validate(PassagesItem, item, place), shared, place))
                passages += len(questions[-1].passage_ends) - 1
                check_items(len(items) + passages, limits, "items and passages")
                continue
            for field in ("question", "context"):
                if isinstance(item.get(field), list):
                    raise InvalidRequest(
                        f"{place.path(field)}: must be a string; a list of questions can stand only beside or in inputs"
                    )
        questions.append(question_of(validate(Item, item, place), shared, place))
    return questions


def question_of(item: Item | PassagesItem, shared: Shared, place: Place) -> Question:
    """Convert an item; what is shared applies if the item has none of its own.

    Raises: InvalidRequest if the item has a parameter that its task does not have.
    """
    try:
        return item.to_question(shared.precision, shared.parameters, place, shared.defaults)
    except InvalidRequest as error:
        raise InvalidRequest(place.of(str(error))) from None


def validate(model: type[Model], value: Any, place: Place = ALONE) -> Model:
    """Validate a value. place: where in the request it is.

    Raises: InvalidRequest.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidRequest(
            messages.describe(error, schemas.PATTERN_MESSAGES, field_names.unknown_parameter, place.locate)
        ) from None
