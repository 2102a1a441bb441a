"""Optimize pictures: canvas, transforms, regularizers and recipes, and the call that puts them together."""

from diffprog.vision import canvas as canvas
from diffprog.vision import recipes as recipes
from diffprog.vision import regularizer as regularizer
from diffprog.vision import transform as transform
from diffprog.vision.drawing import Drawing as Drawing
from diffprog.vision.drawing import check_destination as check_destination
from diffprog.vision.drawing import read_request as read_request
from diffprog.vision.recipe import Recipe as Recipe
from diffprog.vision.redraw import redraw as redraw
from diffprog.vision.visualize import visualize as visualize
