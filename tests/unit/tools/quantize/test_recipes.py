"""Names of recipes."""

from tools.quantize.recipes import STATIC, Recipe, smoothquant


def test_the_name_of_a_recipe_says_what_it_does() -> None:
    assert STATIC.name == "static"
    assert Recipe(centred=True).name == "static, centred"
    assert smoothquant(0.5).name == "smoothquant 0.5"
    assert Recipe(True, 0.5, ("a", "b")).name == "smoothquant 0.5, 2 in FP32"
