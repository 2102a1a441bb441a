"""Canvases: what is optimized in place of pixels, and how it becomes a picture.

`init(key, size)` draws the parameters of one picture and `to_image(params)` makes them a float32 picture [H, W, C] in
[0, 1]. All are frozen dataclasses of plain numbers, made of each other where that helps.
"""

from diffprog.vision.canvases.canvas import Canvas as Canvas
from diffprog.vision.canvases.canvas import Paint as Paint
from diffprog.vision.canvases.canvas import Size as Size
from diffprog.vision.canvases.canvas import Sized as Sized
from diffprog.vision.canvases.color import from_rgb as from_rgb
from diffprog.vision.canvases.color import to_rgb as to_rgb
from diffprog.vision.canvases.cppn import CPPN as CPPN
from diffprog.vision.canvases.fourier import Fourier as Fourier
from diffprog.vision.canvases.frequencies import PowerLaw as PowerLaw
from diffprog.vision.canvases.frequencies import Spectrum as Spectrum
from diffprog.vision.canvases.frequencies import frequencies as frequencies
from diffprog.vision.canvases.frequencies import spectrum_scale as spectrum_scale
from diffprog.vision.canvases.latent import Latent as Latent
from diffprog.vision.canvases.measure import Measured as Measured
from diffprog.vision.canvases.measure import measure as measure
from diffprog.vision.canvases.phase import Phase as Phase
from diffprog.vision.canvases.photograph import Photograph as Photograph
from diffprog.vision.canvases.pixel import Pixel as Pixel
from diffprog.vision.canvases.pyramid import Coarse as Coarse
from diffprog.vision.canvases.pyramid import Pyramid as Pyramid
from diffprog.vision.canvases.shared import Shared as Shared
from diffprog.vision.canvases.transparent import Grey as Grey
from diffprog.vision.canvases.transparent import Transparent as Transparent
