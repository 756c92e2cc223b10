"""What is wrong with a value, in words of our own, for every kind of error that our models can raise."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from container.validation.messages import UNKNOWN, describe


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    number: int = Field(1, ge=1, le=5)


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    whole: int = Field(1, gt=0, lt=10)
    part: float = Field(0.5, allow_inf_nan=False)
    switch: bool = False
    text: str = Field("aa", min_length=2, max_length=4, pattern="^a")
    filled: str = Field("a", min_length=1)
    choice: Literal["x", "y", "z"] = "x"
    many: list[int] = Field([1], min_length=1, max_length=2)
    several: list[int] = Field([1, 2], min_length=2)
    inner: Inner | None = None
    named: dict[str, int] = {}
    own: int = 0

    @field_validator("own")
    @classmethod
    def _refuse(cls, value: int) -> int:
        if value:
            raise ValueError("must be zero, for a reason of ours")
        return value


def message(value: Any, **options: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(value)
    return describe(caught.value, **options)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("whole", "abc", "must be a whole number"),
        ("whole", None, "must be a whole number"),
        ("whole", 1.5, "must be a whole number"),
        ("whole", "9" * 5000, "must be a whole number of fewer digits"),
        ("whole", 0, "must be more than 0"),
        ("whole", 10, "must be less than 10"),
        ("part", "abc", "must be a number"),
        ("part", [], "must be a number"),
        ("part", float("nan"), "must be a number, and neither NaN nor infinite"),
        ("switch", "maybe", "must be true or false"),
        ("switch", [], "must be true or false"),
        ("text", 5, "must be a string"),
        ("text", "a", "must have at least 2 characters"),
        ("text", "aaaaa", "must have at most 4 characters"),
        ("text", "bbb", "must match the pattern ^a"),
        ("filled", "", "must not be empty"),
        ("choice", "w", "must be x, y or z"),
        ("many", 1, "must be a list"),
        ("many", [], "must not be empty"),
        ("several", [1], "must have at least 2 entries"),
        ("many", [1, 2, 3], "must have at most 2 entries"),
        ("inner", 1, "must be an object"),
        ("named", 1, "must be an object"),
        ("own", 1, "must be zero, for a reason of ours"),
    ],
)
def test_each_kind_of_error_has_its_message(field: str, value: Any, expected: str) -> None:
    assert message({field: value}) == f"{field}: {expected}"


def test_an_error_in_a_part_names_the_path() -> None:
    assert message({"inner": {"number": 9}}) == "inner.number: must be at most 5"
    assert message({"inner": {"number": 0}}) == "inner.number: must be at least 1"
    assert message({"many": ["x"]}) == "many.0: must be a whole number"


def test_the_value_as_a_whole_has_no_path() -> None:
    assert message([]) == "must be an object"


def test_a_pattern_can_have_a_message_of_its_own() -> None:
    assert message({"text": "bbb"}, patterns={"^a": "must begin with a"}) == "text: must begin with a"


def test_an_unknown_name_is_shown_shortened_unless_a_client_chose_it() -> None:
    assert message({"wholes": 1}) == "wholes: is not known"
    assert message({"n" * 1000: 1}) == f"{'n' * 64}: is not known"
    assert message({"n" * 1000: 1}, unknown_name=lambda _: "has a wrong name") == "has a wrong name"
    assert message({"inner": {"n": 1}}, unknown_name=lambda _: "has a wrong name") == "inner: has a wrong name"


def test_the_path_is_completed_by_whoever_knows_where_the_value_was() -> None:
    assert message({"whole": 0}, locate=lambda path: ("list", 3, *path)) == "list.3.whole: must be more than 0"


def test_a_kind_of_error_that_no_model_raises_at_present_still_gets_a_message() -> None:
    class Other(BaseModel):
        value: bytes

    with pytest.raises(ValidationError) as caught:
        Other.model_validate({"value": 5})
    assert describe(caught.value) == f"value: {UNKNOWN}"
