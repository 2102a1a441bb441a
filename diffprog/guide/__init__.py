"""Guidance: move the latent of any generator until any scorer finds what the words say.

A `Generator` makes pictures from latents, a `Scorer` says how well they do what a `Prompt` asks, a `Prior` keeps
latents where the generator was trained, an `Augment` is what a score must survive. `guide` puts them together,
`invert` finds the latent of a given picture, `judged` asks a scorer that had no part.
"""

from diffprog.guide import augments as augments
from diffprog.guide import generators as generators
from diffprog.guide import priors as priors
from diffprog.guide import scorers as scorers
from diffprog.guide import similarity as similarity
from diffprog.guide.generators import Generator as Generator
from diffprog.guide.guide import guide as guide
from diffprog.guide.guided import Guided as Guided
from diffprog.guide.guided import read_manifest as read_manifest
from diffprog.guide.inversion import Inverted as Inverted
from diffprog.guide.inversion import invert as invert
from diffprog.guide.judging import Verdict as Verdict
from diffprog.guide.judging import judged as judged
from diffprog.guide.methods import Adam as Adam
from diffprog.guide.prompts import Prompt as Prompt
from diffprog.guide.prompts import prompt as prompt
from diffprog.guide.scorers import Scorer as Scorer
