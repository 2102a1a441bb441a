"""Published generators, read from the files you have of them, without torch: BigGAN-deep, VQGAN and StyleGAN2.

`load` recognizes which it is. None is shipped or fetched: their weights are in no package, and some have licences of
their own.
"""

from diffprog.models.gans.biggan.network import BigGAN as BigGAN
from diffprog.models.gans.fitting import Kind as Kind
from diffprog.models.gans.loading import KINDS as KINDS
from diffprog.models.gans.loading import load as load
from diffprog.models.gans.loading import names as names
from diffprog.models.gans.stylegan2.network import StyleGAN2 as StyleGAN2
from diffprog.models.gans.vqgan.network import VQGAN as VQGAN
