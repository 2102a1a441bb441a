"""All units of whole layers, drawn one after the other into a folder that can be opened as a page."""

from diffprog.vision.sweeps.run import Sweep as Sweep
from diffprog.vision.sweeps.run import sweep as sweep
