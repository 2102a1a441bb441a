"""Recipes of other projects, number by number, and in what ours differ from them and why.

Three differences run through all. Pixels are in [0, 1] here and a network's own preprocessing lives with the network,
so noise that a project adds after preprocessing is divided by the width of its range. Transforms have fixed shapes,
are drawn anew for every picture of a batch, and those that move pixels are one resampling: what turns or shrinks into
view is grey, or what the recipe's first `Pad` says, where others have black. And ReLUs are redirected in the first
steps only where the project does it for any network.
"""

from __future__ import annotations

from diffprog.vision import canvases, regularizers, transforms
from diffprog.vision.recipes.optimizers import Adam, Nadam
from diffprog.vision.recipes.recipe import Recipe

_LUCID_SCALES = transforms.Scale(tuple(round(0.9 + 0.02 * i, 2) for i in range(11)))
_LUCID_TURNS = transforms.Rotate((*range(-10, 11), 0, 0, 0, 0, 0))
_TORCH_DECAY, _KERAS_DECAY = 0.004, 1.0

LUCID = Recipe(
    size=128,
    steps=512,
    canvas=canvases.Fourier(decay=1.0, deviation=0.01),
    transforms=(
        transforms.Pad(12, 0.5),
        transforms.Jitter(8),
        _LUCID_SCALES,
        _LUCID_TURNS,
        transforms.Jitter(4),
    ),
    optimizer=Adam(0.05),
    redirect_steps=16,
)
"""Lucid's `render_vis` (2018): 128 px, 512 steps of Adam .05, its standard transforms, 16 redirected steps.

Two things differ by design: the five transforms are one resampling of fixed shape instead of five of changing shape,
and what a rotation turns in from outside is grey instead of black.
"""

CARICATURE = LUCID.replace(
    size=224, transforms=(*LUCID.transforms, transforms.CropOrPad(224, 224)), redirect_steps=0
)
"""Lucid's `caricature` (recipes/caricature.py): as `render_vis`, in the size of the photograph that is caricatured.

Its objective is the dot product with the photograph's activations times a power of their cosine; the picture starts
from noise, not from the photograph. Another photograph than one of 224 px: `replace(size=...)` and the last transform.
"""

LUCENT = Recipe(
    size=128,
    steps=512,
    canvas=canvases.Fourier(decay=1.0, deviation=0.01),
    transforms=(
        transforms.Pad(12, 0.5),
        transforms.Translate(8),
        _LUCID_SCALES,
        _LUCID_TURNS,
        transforms.Translate(4),
        transforms.Resize(224),
    ),
    optimizer=Adam(0.05),
    redirect_steps=0,
)
"""Lucent's `render_vis` (torch-lucent 0.1.8): Lucid's, except that jitter moves right and down only and keeps the
size, and that the network sees the picture enlarged to 224 px.

Lucent redirects ReLUs only inside of its own copy of InceptionV1, and there in all steps.
"""

CAPTUM = Recipe(
    size=224,
    steps=512,
    canvas=canvases.Fourier(decay=1.0, deviation=0.02, softening=1.0),
    transforms=(
        transforms.Scale((1.0, 0.975, 1.025, 0.95, 1.05)),
        transforms.Pad(16, 0.5),
        transforms.Jitter(32),
    ),
    optimizer=Adam(0.025),
    redirect_steps=0,
)
"""Captum's `InputOptimization` (branch optim-wip, 2022): half of Lucid's learning rate on a spectrum that is not
divided by 4, and eight times its first amplitude.

Its jitter of 16 pixels mirrors the picture at the edges, where ours moves in grey.
"""

_XPLIQUE_UNIT = 512 // 16

XPLIQUE = Recipe(
    size=512,
    steps=256,
    canvas=canvases.Fourier(decay=0.85, deviation=0.01),
    transforms=(
        transforms.Pad(4 * _XPLIQUE_UNIT, 0.0),
        transforms.Jitter(2 * _XPLIQUE_UNIT),
        transforms.Jitter(2 * _XPLIQUE_UNIT),
        transforms.Jitter(4 * _XPLIQUE_UNIT),
        transforms.Jitter(4 * _XPLIQUE_UNIT),
        transforms.Jitter(4 * _XPLIQUE_UNIT),
        transforms.ScaleBetween(0.92, 0.96),
        transforms.BlurBetween(1.0, 1.1),
        transforms.Jitter(_XPLIQUE_UNIT),
        transforms.Jitter(_XPLIQUE_UNIT),
        transforms.Mirror(),
        transforms.Resize(224),
    ),
    optimizer=Adam(0.05, epsilon=1e-7),
    redirect_steps=0,
)
"""Xplique's `optimize` (2.0.0): 512 px seen through many small crops, blurred and mirrored, in steps of Keras's Adam.

Xplique stretches every picture to the full range of values, and shrinks its shape when it scales; here the sigmoid's
values are left as they are, and a picture that is made smaller keeps its shape with a black frame.
"""

MACO = Recipe(
    size=512,
    steps=256,
    canvas=canvases.Phase(canvases.PowerLaw(1.5)),
    transforms=(
        transforms.ShrinkingCrop(224, low=0.05, high=1.0, centre=0.15, start=0.5, end=0.05, spread=0.05),
        transforms.Noise(0.08 / 2),
        transforms.UniformNoise(0.08 / 2),
    ),
    views=32,
    optimizer=Nadam(1.0, decay=_KERAS_DECAY, epsilon=1e-7),
    redirect_steps=0,
)
"""MACO (Fel et al. 2023) as in Xplique's `maco`: only phases move, under 32 crops a step that shrink from half the
picture to a twentieth; Keras's Nadam with its warm-up. Noise of .08 is for values in (-1, 1).

The magnitudes are the analytic 1 / f^1.5 instead of ImageNet's means (see `canvases.Phase`), or your own
(`canvases.measure`). Crops stay inside of the picture and, where they are made smaller, no pixel is skipped; Xplique's
stick out into black and skip. The transparency that MACO shows its pictures with, by how strongly each pixel was ever
pulled, is left out.
"""

HORAMA = Recipe(
    size=1280,
    steps=1000,
    canvas=canvases.Phase(canvases.PowerLaw(1.5)),
    transforms=(
        transforms.Crop(224, low=0.25, high=0.30, centre=0.15),
        transforms.Noise(0.05 / 5),
        transforms.UniformNoise(0.05 / 5),
    ),
    views=6,
    optimizer=Nadam(1.0, decay=_TORCH_DECAY),
    redirect_steps=0,
)
"""Horama's `maco` (0.3.0): 1,280 px seen through 6 crops a step, PyTorch's NAdam. Noise of .05 is for values in
(-2.5, 2.5).

Its crops are said to be .20 to .25 of the picture and its code draws .25 to .30, which is what is here.
"""

ACCENTUATION = Recipe(
    steps=1000,
    canvas=canvases.Fourier(decay=0.0, softening=1.0),
    transforms=HORAMA.transforms,
    views=6,
    regularizers=(regularizers.Likeness(1.0 * 5**2),),
    optimizer=Nadam(1.0 / 1280, decay=_TORCH_DECAY),
    redirect_steps=0,
)
"""Feature accentuation (Hamblin et al. 2024) as in Horama's `accentuation`: `ACCENTUATION.of(photo)` makes a
photograph excite a unit more, and pays for every change.

Horama moves the raw coefficients of a 1,280 px picture by steps of 1, which are steps of 1 / 1280 of the unitary ones
here, at any size; and it scales their gradients by 1 / f^1.5, which NAdam divides out again. Its penalty of 1 is for
values in (-2.5, 2.5).
"""
