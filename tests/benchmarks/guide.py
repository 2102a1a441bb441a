"""Guidance, measured.  python -m tests.benchmarks.guide [step | prompts | ablation]

`step`: the gradient of one class's log-probability by eight latents of the DCGAN through EfficientNet-Lite0, against
the same in PyTorch (channels last, normalizations folded, frozen parameters), in one run.

`prompts`: ten prompts with the settings of `diffprog guide`, judged by EfficientNet-Lite1, which had no part, against
the best of as many random draws; a contact sheet of all (guide_prompts.png).

`ablation`: what screening, the prior, the views and the kind of scorer are worth, on three prompts.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import diffprog as dp
from diffprog.guide import Guided, scorers
from diffprog.guide.guided import sheet
from diffprog.guide.pieces import each
from diffprog.guide.views import whole
from tests.benchmarks.networks import report

PROMPTS = (
    "a person wearing sunglasses",
    "a person wearing a cowboy hat",
    "a doctor in a lab coat",
    "a person in a shower cap",
    "a person with a wig",
    "a person wearing a crash helmet",
    "a person in a bathing cap",
    "a person with a neck brace",
    "a person in an academic gown",
    "a person wearing a bow tie",
)
CLASS, MEMBERS = 837, 8
ABLATED = PROMPTS[:3]


def step() -> None:
    """One step of eight members, ours and PyTorch's."""
    generator, net = dp.models.load("dcgan-faces"), dp.models.load("efficientnet-lite0")
    z = np.random.default_rng(0).standard_normal((MEMBERS, 100)).astype(np.float32)

    def member(z: jax.Array, example: Any, params: Any) -> tuple[jax.Array, None]:
        image = generator.apply(params[0], z[None])
        logits = net.apply(params[1], whole(image, net.input_size))
        return jax.nn.log_softmax(logits)[0, CLASS], None

    params = (generator.params, net.params)
    ours = jax.jit(jax.grad(lambda z, params: each(member)(z, jnp.zeros(MEMBERS), params)[0].sum()))
    calls: dict[str, Any] = {"hand": lambda: ours(z, params)}
    note = ""
    try:
        calls["torch"] = in_pytorch(z)
    except ImportError:
        note = "PyTorch is not installed"
    else:
        theirs = calls["torch"]().numpy()
        note = f"relative difference {np.linalg.norm(ours(z, params) - theirs) / np.linalg.norm(theirs):.0e}"
    report(f"DCGAN + EfficientNet-Lite0, {MEMBERS} latents, gradient", calls, note)


def in_pytorch(z: np.ndarray) -> Any:
    """The same step in PyTorch."""
    import torch
    from torch.nn import functional

    from diffprog import weights
    from diffprog.models import dcgan
    from diffprog.models.generator import FACES
    from tests.benchmarks import torch_networks

    kept = weights.load_cached("dcgan-faces", FACES, dcgan.convert)
    layers = {name: torch.from_numpy(np.array(tensor)) for name, tensor in kept.items()}
    net = torch_networks.network("efficientnet-lite0", dp.models.fetch("efficientnet-lite0"))
    given = torch.from_numpy(z).requires_grad_()
    names = ("grow1", "grow2", "grow3", "picture")
    kernels = {name: layers[f"{name}/kernel"].flip(0, 1).permute(2, 3, 0, 1).contiguous() for name in names}
    # The matrix of our weights: JAX's bicubic is PyTorch's antialiased one but for the pixels at the edge.
    eye = np.asarray(jax.image.resize(np.eye(64, dtype=np.float32), (224, 64), "bicubic"))
    matrix = torch.from_numpy(np.array(eye))

    def call() -> Any:
        x = functional.relu(given @ layers["project/kernel"] + layers["project/bias"]).reshape(-1, 4, 4, 512)
        x = x.permute(0, 3, 1, 2)
        for name in names:
            x = functional.conv_transpose2d(x, kernels[name], layers[f"{name}/bias"], 2, 1)
            x = functional.relu(x) if name != "picture" else (torch.tanh(x) + 1) / 2
        x = (matrix @ x @ matrix.T).clamp(0, 1).contiguous(memory_format=torch.channels_last)
        (gradient,) = torch.autograd.grad(functional.log_softmax(net(x), -1)[:, CLASS].sum(), given)
        return gradient

    return call


def prompts(n: int = 8, steps: int | None = None) -> None:
    """Ten prompts, each judged."""
    generator, scorer = dp.models.load("dcgan-faces"), scorers.words()
    judge = scorers.words("efficientnet-lite1")
    options = {} if steps is None else {"steps": steps}
    preferred, pictures = 0, []
    for text in PROMPTS:
        before = time.perf_counter()
        made = dp.guide(text, generator=generator, scorer=scorer, n=n, **options)
        seconds = time.perf_counter() - before
        (verdict,) = dp.judged(made, generator=generator, scorer=scorer, judge=judge)
        preferred += verdict.prefers
        rose = int(np.sum(made.scores > made.start_scores))
        print(f"{text}: {seconds:.0f} s; rose in {rose} of {n}; {verdict}", flush=True)
        pictures.append(made.images)
    print(f"the judge prefers the guided picture for {preferred} of {len(PROMPTS)} prompts")
    sheet(np.concatenate(pictures), n).save("guide_prompts.png")


def ablation(n: int = 4, steps: int = 80) -> None:
    """One part left out at a time; the judge is always the same."""
    generator, words = dp.models.load("dcgan-faces"), scorers.words()
    judge = scorers.words("efficientnet-lite1")
    cases: dict[str, dict[str, Any]] = {
        "as it is": {},
        "no screening": {"screen": 1},
        "no prior": {"prior": dp.priors.Free()},
        "on the sphere": {"prior": dp.priors.Sphere()},
        "moments": {"prior": dp.priors.Moments(0.1)},
        "no views": {"augment": dp.augments.WHOLE},
        "FuseDream's views": {"augment": dp.augments.FuseDream(count=2)},
        "ConSE": {"scorer": scorers.conse()},
    }
    for title, change in cases.items():
        made = dp.guide(
            list(ABLATED), **{"generator": generator, "scorer": words, "n": n, "steps": steps, **change}
        )
        scores = judge_scores(made, judge)
        length = np.linalg.norm(made.latents, axis=-1).mean()
        print(
            f"{title}: judge {scores.mean():.2f} ({', '.join(f'{s:.2f}' for s in scores)}), |z| {length:.1f}",
            flush=True,
        )


def judge_scores(made: Guided, judge: Any) -> np.ndarray:
    """The judge's mean score for every prompt."""
    from diffprog.guide.judging import scores_of

    n = made.settings["n"]
    parts = [(made.prompts[i], made.images[i : i + n]) for i in range(0, len(made.images), n)]
    return np.array([scores_of(judge, prompt, images).mean() for prompt, images in parts])


if __name__ == "__main__":
    dp.tune(memory=True)
    {"step": step, "prompts": prompts, "ablation": ablation}[sys.argv[1] if len(sys.argv) > 1 else "step"]()
