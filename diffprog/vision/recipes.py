"""Recipes by name."""

from diffprog.vision.recipe import DEFAULT as DEFAULT
from diffprog.vision.recipe import LUCID as LUCID
from diffprog.vision.recipe import NATURAL as NATURAL
from diffprog.vision.recipe import PIXEL as PIXEL
from diffprog.vision.recipe import RECIPES as RECIPES
from diffprog.vision.recipe import Recipe as Recipe
from diffprog.vision.recipe import default_for as default_for
