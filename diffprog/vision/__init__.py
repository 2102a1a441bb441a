"""Optimize pictures: canvas, transforms, regularizers and recipes, and the call that puts them together."""

from diffprog.vision import canvas as canvas
from diffprog.vision import recipes as recipes
from diffprog.vision import regularizer as regularizer
from diffprog.vision import transform as transform
from diffprog.vision.drawing import Drawing as Drawing
from diffprog.vision.drawing import check_destination as check_destination
from diffprog.vision.drawing import read_request as read_request
from diffprog.vision.dreams import DEEPDREAM as DEEPDREAM
from diffprog.vision.dreams import Dream as Dream
from diffprog.vision.dreams import DreamRecipe as DreamRecipe
from diffprog.vision.dreams import Film as Film
from diffprog.vision.dreams import dream as dream
from diffprog.vision.dreams import guided as guided
from diffprog.vision.dreams import zoom as zoom
from diffprog.vision.photo import Photo as Photo
from diffprog.vision.photo import read_photo as read_photo
from diffprog.vision.picture_files import read_settings as read_settings
from diffprog.vision.recipe import Recipe as Recipe
from diffprog.vision.redraw import redraw as redraw
from diffprog.vision.visualize import visualize as visualize
