"""Dreams: photographs in which a network sees more of what it sees already (DeepDream)."""

from diffprog.vision.dreams.dream import dream as dream
from diffprog.vision.dreams.dreamt import Dream as Dream
from diffprog.vision.dreams.dreamt import Film as Film
from diffprog.vision.dreams.guide import guided as guided
from diffprog.vision.dreams.recipe import DEEPDREAM as DEEPDREAM
from diffprog.vision.dreams.recipe import DEFAULT as DEFAULT
from diffprog.vision.dreams.recipe import DreamRecipe as DreamRecipe
from diffprog.vision.dreams.zoom import zoom as zoom
