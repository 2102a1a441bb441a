"""Regularizers: what a picture pays for. Each is a mean over the picture, times a weight."""

from diffprog.vision.regularizers.balanced import Balanced as Balanced
from diffprog.vision.regularizers.boundary import Boundary as Boundary
from diffprog.vision.regularizers.detail import Blur as Blur
from diffprog.vision.regularizers.detail import BlurStep as BlurStep
from diffprog.vision.regularizers.detail import HighFrequency as HighFrequency
from diffprog.vision.regularizers.detail import TotalVariation as TotalVariation
from diffprog.vision.regularizers.distance import L1 as L1
from diffprog.vision.regularizers.distance import L2 as L2
from diffprog.vision.regularizers.distance import Likeness as Likeness
from diffprog.vision.regularizers.distance import LInfinity as LInfinity
from diffprog.vision.regularizers.distance import PowerNorm as PowerNorm
from diffprog.vision.regularizers.opacity import Opacity as Opacity
from diffprog.vision.regularizers.opacity import OpacityBlur as OpacityBlur
from diffprog.vision.regularizers.opacity import OpacityNorm as OpacityNorm
from diffprog.vision.regularizers.regularizer import Regularizer as Regularizer
