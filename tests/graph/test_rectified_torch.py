"""Guided backpropagation and the deconvnet against PyTorch, where both are hooks on ReLUs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.graph import override, overrides

torch = pytest.importorskip("torch")


class Net(nn.Module):
    """Two convolutions, a pooling, two ReLUs and a ReLU6; nothing of this package in it."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(6, (3, 3), padding="VALID", name="first")(x))
        x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.relu6(3 * nn.Conv(5, (3, 3), padding="VALID", name="second")(x))
        x = nn.relu(nn.Dense(32, name="third")(x.reshape(x.shape[0], -1)))
        return nn.Dense(4, name="last")(x)


def twin(params):
    """The same network in PyTorch; its ReLUs are modules."""

    def kernel(name, axes):
        return torch.from_numpy(np.asarray(params[name]["kernel"]).transpose(axes).copy())

    def bias(name):
        return torch.from_numpy(np.array(params[name]["bias"]))

    relus = [torch.nn.ReLU(), torch.nn.ReLU6(), torch.nn.ReLU()]

    def forward(x):
        x = relus[0](torch.nn.functional.conv2d(x, kernel("first", (3, 2, 0, 1)), bias("first")))
        x = torch.nn.functional.max_pool2d(x, 2)
        x = relus[1](3 * torch.nn.functional.conv2d(x, kernel("second", (3, 2, 0, 1)), bias("second")))
        x = x.permute(0, 2, 3, 1).flatten(1)  # channels last, as Flax flattens
        x = relus[2](x @ kernel("third", (0, 1)) + bias("third"))
        return x @ kernel("last", (0, 1)) + bias("last")

    return forward, relus


def guided(module, g_in, g_out):
    return (torch.clamp(g_in[0], min=0),)


def deconvnet(module, g_in, g_out):
    return (torch.clamp(g_out[0], min=0),)


@pytest.mark.parametrize(("rule", "hook"), [(overrides.guided, guided), (overrides.deconvnet, deconvnet)])
@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_hooks_in_pytorch(x64, rule, hook, seed):
    x = jax.random.normal(jax.random.key(seed), (2, 12, 12, 3), jnp.float64)
    params = Net(parent=None).init(jax.random.key(seed + 10), x)["params"]
    params = jax.tree.map(lambda p: p.astype(jnp.float64), params)
    apply = override(lambda x: Net().apply({"params": params}, x), rule)
    out, pull = jax.vjp(apply, x)
    g = jax.random.normal(jax.random.key(seed + 20), out.shape, out.dtype)
    (got,) = pull(g)

    forward, relus = twin(params)
    for relu in relus:
        relu.register_full_backward_hook(hook)
    pictures = torch.from_numpy(np.array(x.transpose(0, 3, 1, 2))).requires_grad_()
    logits = forward(pictures)
    logits.backward(torch.from_numpy(np.array(g)))
    expected = pictures.grad.numpy().transpose(0, 2, 3, 1)
    # 1e-10: float64, sums of up to 1000 products in another order
    np.testing.assert_allclose(out, logits.detach().numpy(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)
    assert np.count_nonzero(expected) > 20
