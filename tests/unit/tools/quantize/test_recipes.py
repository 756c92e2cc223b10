"""Names of recipes, and the choice between recipes that were tried."""

import pytest

from tools.quantize.recipes import STATIC, Recipe, TriedRecipe, nearest_within, smoothquant

LOSES_MUCH = TriedRecipe(smoothquant(0.9), 1.0, rms_difference=0.10, f1_drop=0.8)
NEAR = TriedRecipe(smoothquant(0.5), 1.0, rms_difference=0.12, f1_drop=0.4)
FAR = TriedRecipe(STATIC, 1.0, rms_difference=0.20, f1_drop=-1.0)


def test_the_name_of_a_recipe_says_what_it_does() -> None:
    assert STATIC.name == "static"
    assert Recipe(centred=True).name == "static, centred"
    assert smoothquant(0.5).name == "smoothquant 0.5"
    assert Recipe(True, 0.5, ("a", "b")).name == "smoothquant 0.5, 2 in FP32"


@pytest.mark.parametrize(
    ("max_f1_drop", "best"), [(1.0, LOSES_MUCH), (0.5, NEAR), (0.0, FAR), (-1.0, FAR), (-2.0, None)]
)
def test_the_nearest_of_the_recipes_that_lose_little_enough_is_the_best(
    max_f1_drop: float, best: TriedRecipe | None
) -> None:
    assert nearest_within([LOSES_MUCH, NEAR, FAR], max_f1_drop) is best
