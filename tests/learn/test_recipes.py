from __future__ import annotations

import json

import pytest

from vibrissa.core.errors import UsageError
from vibrissa.learn.recipes import RECIPES, Recipe, recipe_named


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_json(name: str) -> None:
    recipe = RECIPES[name]
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_an_unknown_recipe_lists_what_exists() -> None:
    with pytest.raises(
        UsageError, match=r"no recipe 'resnet'. There is: act-state, act, act-full, debug"
    ):
        recipe_named("resnet")


@pytest.mark.parametrize("change", [{"steps": 0}, {"batch_size": -1}, {"lr": 0.0}, {"keep": 0}])
def test_impossible_numbers_are_refused(change: dict) -> None:
    with pytest.raises(UsageError, match=next(iter(change)).split("_")[0]):
        recipe_named("debug", **change)


def test_changes_that_are_none_change_nothing() -> None:
    assert recipe_named("act", steps=None, lr=2e-4).steps == RECIPES["act"].steps
    assert recipe_named("act", steps=None, lr=2e-4).lr == 2e-4
