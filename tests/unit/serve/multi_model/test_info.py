"""GET /models returns the models of a multi-model endpoint in pages."""

from typing import Any

from serve.multi_model.info import PAGE_MODELS, page


def test_a_long_list_of_models_is_divided_into_pages() -> None:
    models = [(f"{number:04}", "/opt/ml/models/x/model") for number in range(2 * PAGE_MODELS + 1)]
    seen: list[Any] = []
    body = page(models, "")
    while "nextPageToken" in body:
        seen.append(body["models"])
        body = page(models, str(body["nextPageToken"]))
    seen.append(body["models"])
    assert [len(part) for part in seen] == [PAGE_MODELS, PAGE_MODELS, 1]
    assert [model["modelName"] for part in seen for model in part] == [name for name, _ in models]
