"""Optimize pictures: canvases, transforms, regularizers and recipes, and the call that puts them together."""

from diffprog.vision import canvases as canvases
from diffprog.vision import measures as measures
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
from diffprog.vision.dreams import DEEPDREAM as DEEPDREAM
from diffprog.vision.dreams import Dream as Dream
from diffprog.vision.dreams import DreamRecipe as DreamRecipe
from diffprog.vision.dreams import Film as Film
from diffprog.vision.dreams import dream as dream
from diffprog.vision.dreams import guided as guided
from diffprog.vision.dreams import zoom as zoom
from diffprog.vision.grid import ActivationGrid as ActivationGrid
from diffprog.vision.grid import activation_grid as activation_grid
from diffprog.vision.photo import Photo as Photo
from diffprog.vision.photo import read_photo as read_photo
from diffprog.vision.picture_files import read_settings as read_settings
from diffprog.vision.recipes import Recipe as Recipe
from diffprog.vision.redraw import redraw as redraw
from diffprog.vision.steady import steady as steady
from diffprog.vision.sweeps import Sweep as Sweep
from diffprog.vision.sweeps import sweep as sweep
from diffprog.vision.visualize import visualize as visualize

canvas, regularizer, transform = canvases, regularizers, transforms  # their names of before
