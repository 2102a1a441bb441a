import functools
import threading

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from diffprog.graph import trace
from tests.graph.programs import (
    EQUINOX,
    EQUINOX_NAMES,
    LINEN_PARAMS,
    NNX,
    NNX_NAMES,
    EquinoxBlock,
    LinenNet,
    NnxBlock,
    NnxNet,
    X,
)


def layer_names(function, *args):
    return tuple(layer.name for layer in trace(function, *args).layers)


@nnx.jit
def forward(model, x):
    return model(x)


class Holder:
    """An object of one's own that keeps a model."""

    def __init__(self, model):
        self.model = model

    def __call__(self, x):
        return self.model(x)


WAYS = {
    "the module": NNX,
    "its method": NNX.__call__,
    "a closure": lambda x, net=NNX: (lambda: net(x))(),
    "a global": lambda x: NNX(x),
    "partial": functools.partial(lambda net, x: net(x), NNX),
    "keyword default": lambda x, *, net=NNX: net(x),
    "an object": Holder(NNX),
    "jit": jax.jit(lambda x: NNX(x)),
    "nnx.jit of the module": nnx.jit(NNX),
    "nnx.jit of a closure": nnx.jit(lambda x: NNX(x)),
    "nnx.jit of a function of the module": lambda x: forward(NNX, x),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_nnx_module_is_seen_wherever_the_function_keeps_it(way):
    way(X)  # what was compiled before has no scopes in it
    graph = trace(way, X)
    assert tuple(layer.name for layer in graph.layers) == NNX_NAMES
    # one rounding per operation: here compiled as a whole or operation by operation, there the other way
    np.testing.assert_allclose(graph.run(X)[0], NNX(X), rtol=1e-5, atol=1e-6)


def test_an_nnx_module_that_is_split_and_merged_inside_keeps_its_names():
    definition, state = nnx.split(NNX)
    ways = {
        "a closure": trace(lambda state, x: nnx.merge(definition, state)(x), state, X),
        "an argument": trace(lambda d, state, x: nnx.merge(d, state)(x), definition, state, X),
    }
    for way, graph in ways.items():
        assert tuple(layer.name for layer in graph.layers) == NNX_NAMES, way
        args = (definition, state, X) if way == "an argument" else (state, X)
        np.testing.assert_allclose(graph.run(*args)[0], NNX(X), rtol=1e-5, atol=1e-6)  # as above
    before = [cls.__dict__.get("__call__") for cls in (NnxNet, NnxBlock)]
    assert not any("_with_scope" in getattr(call, "__qualname__", "") for call in before)


def test_the_classes_and_variables_of_nnx_are_as_before():
    before = [cls.__dict__.get("__call__") for cls in (NnxNet, NnxBlock, nnx.Linear, nnx.BatchNorm)]
    trace(lambda x: forward(NNX, x), X)
    assert before == [cls.__dict__.get("__call__") for cls in (NnxNet, NnxBlock, nnx.Linear, nnx.BatchNorm)]
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(nnx.state(NNX)))
    NNX.stem.bias[...] = NNX.stem.bias[...]  # may still be written
    NNX.eval()


def test_the_classes_are_as_before_after_an_error():
    def function(x):
        NNX(x)
        raise KeyError("no such thing")

    call = NnxNet.__call__
    with pytest.raises(KeyError):
        trace(function, X)
    assert NnxNet.__call__ is call


def test_running_averages_and_random_counts_are_not_changed():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.norm = nnx.BatchNorm(5, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return self.dropout(self.norm(x))

    net = Net(nnx.Rngs(0))
    before = jax.tree.map(str, nnx.state(net))
    graph = trace(net, X)
    assert jax.tree.map(str, nnx.state(net)) == before
    assert [layer.name for layer in graph.layers] == ["norm", "dropout"]
    np.testing.assert_allclose(graph.run(X)[0], net(X), rtol=1e-5, atol=1e-6)  # roundings of float32
    assert jax.tree.map(str, nnx.state(net)) != before  # the module itself does change them


def test_several_modules_are_told_apart_by_the_caller_s_names():
    encoder, head = NnxBlock(nnx.Rngs(0)), nnx.Linear(4, 2, rngs=nnx.Rngs(1))
    names = layer_names(lambda x: head(encoder(x)), jnp.ones((3, 4)))
    assert names == ("encoder/linear", "encoder/norm", "encoder", "head")


def test_a_module_that_is_not_called_changes_no_name():
    spare = NnxBlock(nnx.Rngs(0))

    def function(x):
        return NNX(x) if x.ndim == 2 else spare(x)

    assert layer_names(function, X) == NNX_NAMES


def test_a_method_other_than_call_has_no_scope_of_its_own():
    class Coder(nnx.Module):
        def __init__(self, rngs):
            self.into, self.out = nnx.Linear(5, 2, rngs=rngs), nnx.Linear(2, 5, rngs=rngs)

        def encode(self, x):
            return self.into(x)

        def reconstruct(self, x):
            return self.out(nnx.tanh(self.encode(x)))

    coder = Coder(nnx.Rngs(0))
    assert layer_names(coder.encode, X) == ("into",)
    assert layer_names(coder.reconstruct, X) == ("into", "tanh", "out")


def test_an_inherited_call_is_one_scope():
    class Louder(NnxBlock):
        def __call__(self, x):
            return super().__call__(x) * 2.0

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first, self.second = NnxBlock(rngs), Louder(rngs)

        def __call__(self, x):
            return self.second(self.first(x))

    names = layer_names(Net(nnx.Rngs(0)), jnp.ones((3, 4)))
    assert names == (*("first/linear", "first/norm", "first"), *("second/linear", "second/norm", "second"))


def test_another_thread_is_not_affected():
    outcome = []

    def elsewhere():
        outcome.append(np.asarray(NNX(X)))

    def function(x):
        y = NNX(x)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return NNX(y @ jnp.ones((4, 5)))

    graph = trace(function, X)
    np.testing.assert_array_equal(outcome[0], NNX(X))
    assert graph.match("*/stem") == ("NNX/stem", "NNX#2/stem")


def test_linen_methods_of_one_class_name_are_told_apart():
    net = LinenNet()

    def function(x):
        return net.apply(LINEN_PARAMS, x) - net.apply(LINEN_PARAMS, -x)

    names = layer_names(function, X)
    assert names[:2] == ("LinenNet/blocks/0/Dense_0", "LinenNet/blocks/0")
    assert names[-2:] == ("LinenNet#2", "sub")


def test_a_linen_module_beside_other_work():
    def function(x):
        with jax.named_scope("preprocess"):
            x = jnp.sin(x)
        return jnp.tanh(nn.Dense(2).apply({"params": {"kernel": jnp.ones((5, 2)), "bias": jnp.ones(2)}}, x))

    assert layer_names(function, X) == ("preprocess", "dot", "tanh")


def heads(x):
    return jax.vmap(lambda row: EQUINOX.head(EQUINOX.stem(row)))(x)


EQUINOX_WAYS = {
    "vmap": jax.vmap(EQUINOX),
    "eqx.filter_vmap": eqx.filter_vmap(EQUINOX),
    "jit": jax.jit(jax.vmap(EQUINOX)),
    "eqx.filter_jit": eqx.filter_jit(lambda x: jax.vmap(EQUINOX)(x)),
    "a closure": lambda x, net=EQUINOX: jax.vmap(lambda row: net(row))(x),
    "an object": Holder(jax.vmap(EQUINOX)),
}


@pytest.mark.parametrize("way", EQUINOX_WAYS.values(), ids=EQUINOX_WAYS)
def test_an_equinox_module_is_seen_wherever_the_function_keeps_it(way):
    way(X)
    graph = trace(way, X)
    assert tuple(layer.name for layer in graph.layers) == EQUINOX_NAMES
    # one rounding per operation, as above
    np.testing.assert_allclose(graph.run(X)[0], jax.vmap(EQUINOX)(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda f: f, eqx.filter_jit])
def test_an_equinox_module_can_be_an_argument_with_its_functions(wrap):
    function = wrap(lambda net, x: jax.vmap(net)(x))
    graph = trace(function, EQUINOX, X)
    assert tuple(layer.name for layer in graph.layers) == EQUINOX_NAMES
    assert graph.input_names[:2] == ("net.stem.weight", "net.stem.bias")
    np.testing.assert_allclose(graph.run(EQUINOX, X)[0], jax.vmap(EQUINOX)(X), rtol=1e-5, atol=1e-6)


def test_parts_of_an_equinox_module_have_their_paths():
    assert layer_names(heads, X) == ("stem", "head/layers/0", "head/layers/1", "head")


def test_the_classes_of_equinox_are_as_before():
    classes = (type(EQUINOX), EquinoxBlock, eqx.nn.Linear, eqx.nn.LayerNorm)
    before = [cls.__dict__.get("__call__") for cls in classes]
    trace(jax.vmap(EQUINOX), X)
    assert [cls.__dict__.get("__call__") for cls in classes] == before
