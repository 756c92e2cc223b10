"""The parameters on the wire and those of the data path are the same."""

from dataclasses import asdict

from serve.api.schemas import Parameters
from serve.qa.types import Parameters as SearchParameters


def test_parameters_have_the_same_names_and_defaults_as_in_the_data_path() -> None:
    assert set(Parameters.model_fields) == set(asdict(SearchParameters()))
    assert Parameters().to_search_parameters() == SearchParameters()


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
    assert set(given) == set(Parameters.model_fields)
    assert asdict(Parameters.model_validate(given).to_search_parameters()) == given
