"""Nodes with parameters, and how they compose.

A block is two pure functions, `init(key, shape) -> params` and `apply(params, x) -> y`. Layers compute by the
hand-written `rules`; `chain`, `branch`, `parallel`, `residual`, `shared` and `frozen` make blocks of blocks; `add`,
`concatenate` and `multiply` are where branches meet; `function` is code of your own; `from_flax`, `to_linen` and
`NnxBlock` go between blocks and Flax.
"""

from diffprog.blocks.attention import attention as attention
from diffprog.blocks.block import Block as Block
from diffprog.blocks.compose import branch as branch
from diffprog.blocks.compose import chain as chain
from diffprog.blocks.compose import frozen as frozen
from diffprog.blocks.compose import parallel as parallel
from diffprog.blocks.compose import residual as residual
from diffprog.blocks.flax_modules import NnxBlock as NnxBlock
from diffprog.blocks.flax_modules import from_flax as from_flax
from diffprog.blocks.flax_modules import to_linen as to_linen
from diffprog.blocks.functions import absolute as absolute
from diffprog.blocks.functions import flatten as flatten
from diffprog.blocks.functions import function as function
from diffprog.blocks.functions import gelu as gelu
from diffprog.blocks.functions import hard_swish as hard_swish
from diffprog.blocks.functions import identity as identity
from diffprog.blocks.functions import leaky_relu as leaky_relu
from diffprog.blocks.functions import log_softmax as log_softmax
from diffprog.blocks.functions import relu as relu
from diffprog.blocks.functions import relu6 as relu6
from diffprog.blocks.functions import reshape as reshape
from diffprog.blocks.functions import sigmoid as sigmoid
from diffprog.blocks.functions import silu as silu
from diffprog.blocks.functions import softmax as softmax
from diffprog.blocks.functions import softplus as softplus
from diffprog.blocks.functions import square as square
from diffprog.blocks.functions import tanh as tanh
from diffprog.blocks.layers import convolution as convolution
from diffprog.blocks.layers import embedding as embedding
from diffprog.blocks.layers import linear as linear
from diffprog.blocks.merges import add as add
from diffprog.blocks.merges import concatenate as concatenate
from diffprog.blocks.merges import multiply as multiply
from diffprog.blocks.normalization import batch_norm as batch_norm
from diffprog.blocks.normalization import group_norm as group_norm
from diffprog.blocks.normalization import layer_norm as layer_norm
from diffprog.blocks.normalization import rms_norm as rms_norm
from diffprog.blocks.normalization import with_averages as with_averages
from diffprog.blocks.pooling import avg_pool as avg_pool
from diffprog.blocks.pooling import global_avg_pool as global_avg_pool
from diffprog.blocks.pooling import max_pool as max_pool
from diffprog.blocks.sharing import shared as shared
from diffprog.blocks.table import table as table
