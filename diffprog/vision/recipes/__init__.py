"""Recipes by name: how pictures are drawn, as data."""

from diffprog.vision.recipes.gradients import AverageMaxPool as AverageMaxPool
from diffprog.vision.recipes.gradients import SmoothMaxPool as SmoothMaxPool
from diffprog.vision.recipes.optimizers import Adam as Adam
from diffprog.vision.recipes.optimizers import GradientAscent as GradientAscent
from diffprog.vision.recipes.optimizers import Nadam as Nadam
from diffprog.vision.recipes.ours import CHANNEL as CHANNEL
from diffprog.vision.recipes.ours import CLASSES as CLASSES
from diffprog.vision.recipes.ours import DEFAULT as DEFAULT
from diffprog.vision.recipes.ours import NATURAL as NATURAL
from diffprog.vision.recipes.ours import PIXEL as PIXEL
from diffprog.vision.recipes.ours import TRANSPARENT as TRANSPARENT
from diffprog.vision.recipes.ours import default_for as default_for
from diffprog.vision.recipes.published import ACCENTUATION as ACCENTUATION
from diffprog.vision.recipes.published import CAPTUM as CAPTUM
from diffprog.vision.recipes.published import CARICATURE as CARICATURE
from diffprog.vision.recipes.published import HORAMA as HORAMA
from diffprog.vision.recipes.published import LUCENT as LUCENT
from diffprog.vision.recipes.published import LUCID as LUCID
from diffprog.vision.recipes.published import MACO as MACO
from diffprog.vision.recipes.published import XPLIQUE as XPLIQUE
from diffprog.vision.recipes.recipe import Recipe as Recipe

RECIPES = {
    "default": DEFAULT,
    "natural": NATURAL,
    "channel": CHANNEL,
    "transparent": TRANSPARENT,
    "pixel": PIXEL,
    "lucid": LUCID,
    "lucent": LUCENT,
    "captum": CAPTUM,
    "xplique": XPLIQUE,
    "maco": MACO,
    "horama": HORAMA,
    "accentuation": ACCENTUATION,
    "caricature": CARICATURE,
}
