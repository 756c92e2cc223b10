"""The parameters on the wire and those of the data path are the same."""

from dataclasses import asdict

from serve.api.schemas import Parameters
from serve.qa.highlight.task import DEFAULT_TASKS
from serve.qa.types import Highlighting
from serve.qa.types import Parameters as SearchParameters

OF_HIGHLIGHTS = {"task", "highlight_threshold", "offset_unit"}  # these become the field `highlight`


def test_parameters_have_the_same_names_and_defaults_as_in_the_data_path() -> None:
    assert set(Parameters.model_fields) - OF_HIGHLIGHTS == set(asdict(SearchParameters())) - {"highlight"}
    assert Parameters().to_search_parameters(DEFAULT_TASKS) == SearchParameters()


def test_every_parameter_reaches_the_data_path() -> None:
    given = {
        "top_k": 2,
        "max_answer_len": 3,
        "max_seq_len": 40,
        "doc_stride": 5,
        "max_question_len": 6,
        "handle_impossible_answer": True,
        "align_to_words": False,
        "no_answer_threshold": -1.5,
        "return_logits": True,
    }
    of_highlights = {"task": "highlight", "highlight_threshold": 0.5, "offset_unit": "bytes"}
    assert {*given, *of_highlights} == set(Parameters.model_fields)
    answers = Parameters.model_validate(given).to_search_parameters(DEFAULT_TASKS)
    assert asdict(answers) == {**given, "highlight": None}
    given["return_logits"] = False  # highlights have none
    highlights = Parameters.model_validate({**given, **of_highlights}).to_search_parameters(DEFAULT_TASKS)
    assert highlights.highlight == Highlighting(threshold=0.5, sentences=2, unit="bytes")
    assert asdict(highlights) == {**given, "top_k": 1, "highlight": asdict(highlights.highlight)}
