"""The table: every part once, counts that add up to the parameters there are."""

import jax
import pytest

from diffprog import blocks

BLOCKS = {
    "digits": (
        blocks.chain(
            blocks.convolution(4), blocks.relu, blocks.max_pool(), blocks.flatten, blocks.linear(10)
        ),
        (1, 8, 8, 1),
    ),
    "nested": (
        blocks.chain(
            blocks.residual(blocks.chain(blocks.linear(3), blocks.layer_norm())),
            blocks.branch(blocks.linear(2), blocks.frozen(blocks.linear(2))),
            blocks.add,
        ),
        (1, 3),
    ),
    "shared": (
        blocks.chain(
            blocks.parallel(
                blocks.shared("tower", blocks.linear(4)),
                blocks.shared("tower", blocks.linear(4)),
            ),
            blocks.multiply,
        ),
        ((1, 3), (1, 3)),
    ),
    "a layer alone": (blocks.attention(2), (1, 3, 4)),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_the_counts_add_up_to_the_parameters(name):
    block, shape = BLOCKS[name]
    params = block.init(jax.random.key(0), shape)
    told = blocks.table(block, shape)
    assert told.count == sum(leaf.size for leaf in jax.tree.leaves(params))
    assert f"{told.count:,} parameters" in str(told)


def test_the_table_of_a_network():
    rows = blocks.table(*BLOCKS["digits"]).rows
    assert [(row.path, row.kind, row.output) for row in rows] == [
        ("convolution", "convolution", "(1, 8, 8, 4)"),
        ("relu", "relu", "(1, 8, 8, 4)"),
        ("max_pool", "max_pool", "(1, 4, 4, 4)"),
        ("flatten", "flatten", "(1, 64)"),
        ("linear", "linear", "(1, 10)"),
    ]
    assert rows[0].parameters == (("bias", (4,)), ("kernel", (3, 3, 1, 4)))


def test_paths_are_those_of_the_parameters():
    told = blocks.table(*BLOCKS["nested"])
    paths = [row.path for row in told.rows if row.count]
    assert paths == ["residual/linear", "residual/layer_norm", "branch/linear", "branch/frozen"]
    assert [row.path for row in told.rows if row.frozen] == ["branch/frozen"]
    assert "8 of them frozen" in str(told)


def test_what_is_shared_is_counted_once():
    told = blocks.table(*BLOCKS["shared"])
    assert [(row.path, row.count) for row in told.rows] == [
        ("shared/tower", 16), ("shared/tower", 0), ("multiply", 0)
    ]  # fmt: skip
    assert "as above" in str(told)
