"""What one node does forward and backward: hand-written vector-Jacobian products, proven and fast.

Convolutions, products, pooling and most activations take the arguments of JAX's or Flax's function of the same name;
where another's differ, or its convention at a kink, its docstring says so. `operation` makes rules of your own,
`check_rule` proves them, `book.BOOK` has the record of every rule here.
"""

from diffprog.rules.attention.attention import dot_product_attention as dot_product_attention
from diffprog.rules.attention.softmax import log_softmax as log_softmax
from diffprog.rules.attention.softmax import logsumexp as logsumexp
from diffprog.rules.attention.softmax import softmax as softmax
from diffprog.rules.check import check_rule as check_rule
from diffprog.rules.check import prove as prove
from diffprog.rules.checks.proof import Check as Check
from diffprog.rules.checks.proof import Proof as Proof
from diffprog.rules.convolution.general import conv_general_dilated as conv_general_dilated
from diffprog.rules.convolution.transpose import conv_transpose as conv_transpose
from diffprog.rules.core.anatomy import Backward as Backward
from diffprog.rules.core.anatomy import operation as operation
from diffprog.rules.core.record import Case as Case
from diffprog.rules.core.record import Rule as Rule
from diffprog.rules.losses.binary import binary_cross_entropy as binary_cross_entropy
from diffprog.rules.losses.contrastive import info_nce as info_nce
from diffprog.rules.losses.contrastive import sigmoid_contrastive as sigmoid_contrastive
from diffprog.rules.losses.cross_entropy import softmax_cross_entropy as softmax_cross_entropy
from diffprog.rules.losses.cross_entropy import (
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
)
from diffprog.rules.losses.errors import huber as huber
from diffprog.rules.losses.errors import squared_error as squared_error
from diffprog.rules.losses.similarity import cosine_distance as cosine_distance
from diffprog.rules.losses.similarity import cosine_similarity as cosine_similarity
from diffprog.rules.normalization.frozen import batch_norm_frozen as batch_norm_frozen
from diffprog.rules.normalization.l2 import l2_normalize as l2_normalize
from diffprog.rules.normalization.norms import batch_norm as batch_norm
from diffprog.rules.normalization.norms import batch_statistics as batch_statistics
from diffprog.rules.normalization.norms import group_norm as group_norm
from diffprog.rules.normalization.norms import layer_norm as layer_norm
from diffprog.rules.normalization.norms import rms_norm as rms_norm
from diffprog.rules.pointwise.gated import gelu as gelu
from diffprog.rules.pointwise.gated import quick_gelu as quick_gelu
from diffprog.rules.pointwise.gated import silu as silu
from diffprog.rules.pointwise.piecewise import absolute as absolute
from diffprog.rules.pointwise.piecewise import clip as clip
from diffprog.rules.pointwise.piecewise import hard_swish as hard_swish
from diffprog.rules.pointwise.power import power as power
from diffprog.rules.pointwise.powers import exp as exp
from diffprog.rules.pointwise.powers import log as log
from diffprog.rules.pointwise.powers import sqrt as sqrt
from diffprog.rules.pointwise.powers import square as square
from diffprog.rules.pointwise.rectifiers import leaky_relu as leaky_relu
from diffprog.rules.pointwise.rectifiers import relu as relu
from diffprog.rules.pointwise.rectifiers import relu6 as relu6
from diffprog.rules.pointwise.sigmoids import sigmoid as sigmoid
from diffprog.rules.pointwise.sigmoids import softplus as softplus
from diffprog.rules.pointwise.sigmoids import tanh as tanh
from diffprog.rules.pooling.average import avg_pool as avg_pool
from diffprog.rules.pooling.average import global_avg_pool as global_avg_pool
from diffprog.rules.pooling.maximum import max_pool as max_pool
from diffprog.rules.pooling.sums import sum_pool as sum_pool
from diffprog.rules.products.dot_general import dot_general as dot_general
from diffprog.rules.products.embedding import embedding as embedding
from diffprog.rules.products.linear import linear as linear
from diffprog.rules.sampling.affine import affine as affine
from diffprog.rules.sampling.resize import resize as resize
from diffprog.rules.structure.branch import branch as branch
from diffprog.rules.structure.branch import shared as shared
from diffprog.rules.structure.join import concatenate as concatenate
from diffprog.rules.structure.join import merge as merge
from diffprog.rules.structure.limit import clip_gradient as clip_gradient
from diffprog.rules.structure.limit import normalize_gradient as normalize_gradient
from diffprog.rules.structure.shapes import broadcast as broadcast
from diffprog.rules.structure.shapes import reshape as reshape
from diffprog.rules.structure.surrogate import reverse_gradient as reverse_gradient
from diffprog.rules.structure.surrogate import stop_gradient as stop_gradient
from diffprog.rules.structure.surrogate import straight_through as straight_through
