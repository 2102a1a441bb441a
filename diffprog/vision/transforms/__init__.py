"""Transforms: small changes that a picture must survive, drawn anew for every picture and step.

Each is `(picture [H, W, C], key) -> picture` of a fixed shape; those that move pixels are affine maps, and a run of
them is one resampling.
"""

from diffprog.vision.transforms.background import OnBackground as OnBackground
from diffprog.vision.transforms.blur import BlurBetween as BlurBetween
from diffprog.vision.transforms.compose import Compose as Compose
from diffprog.vision.transforms.crop import Crop as Crop
from diffprog.vision.transforms.crop import ShrinkingCrop as ShrinkingCrop
from diffprog.vision.transforms.erase import Erase as Erase
from diffprog.vision.transforms.fade import Fade as Fade
from diffprog.vision.transforms.geometric import CropOrPad as CropOrPad
from diffprog.vision.transforms.geometric import Geometric as Geometric
from diffprog.vision.transforms.geometric import Jitter as Jitter
from diffprog.vision.transforms.geometric import Map as Map
from diffprog.vision.transforms.geometric import Mirror as Mirror
from diffprog.vision.transforms.geometric import Pad as Pad
from diffprog.vision.transforms.geometric import Rotate as Rotate
from diffprog.vision.transforms.geometric import RotateBetween as RotateBetween
from diffprog.vision.transforms.geometric import Scale as Scale
from diffprog.vision.transforms.geometric import ScaleBetween as ScaleBetween
from diffprog.vision.transforms.geometric import Shift as Shift
from diffprog.vision.transforms.geometric import Translate as Translate
from diffprog.vision.transforms.pixelwise import ColorJitter as ColorJitter
from diffprog.vision.transforms.pixelwise import ContrastBetween as ContrastBetween
from diffprog.vision.transforms.pixelwise import Noise as Noise
from diffprog.vision.transforms.pixelwise import NormalizeGradient as NormalizeGradient
from diffprog.vision.transforms.pixelwise import UniformNoise as UniformNoise
from diffprog.vision.transforms.resized import Resize as Resize
from diffprog.vision.transforms.transform import Shape as Shape
from diffprog.vision.transforms.transform import Transform as Transform
from diffprog.vision.transforms.transform import output_shape as output_shape
from diffprog.vision.transforms.transform import still as still
