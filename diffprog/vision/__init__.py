"""Optimize pictures: canvases, transforms, regularizers and recipes, and the call that puts them together."""

from diffprog.vision import canvases as canvases
from diffprog.vision import recipes as recipes
from diffprog.vision import regularizers as regularizers
from diffprog.vision import transforms as transforms
from diffprog.vision.attribution import Attribution as Attribution
from diffprog.vision.attribution import attribution as attribution
from diffprog.vision.attribution import attribution_weighted as attribution_weighted
from diffprog.vision.attribution import influence as influence
from diffprog.vision.drawing import Drawing as Drawing
from diffprog.vision.drawing import check_destination as check_destination
from diffprog.vision.drawing import read_request as read_request
from diffprog.vision.grid import ActivationGrid as ActivationGrid
from diffprog.vision.grid import activation_grid as activation_grid
from diffprog.vision.recipes import Recipe as Recipe
from diffprog.vision.redraw import redraw as redraw
from diffprog.vision.steady import steady as steady
from diffprog.vision.visualize import visualize as visualize

canvas, regularizer, transform = canvases, regularizers, transforms  # their names of before
