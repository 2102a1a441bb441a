"""What one node does forward and backward: hand-written vector-Jacobian products, proven and fast.

Convolutions, products, pooling and most activations take the arguments of JAX's or Flax's function of the same name;
where another's differ, or its convention at a kink, its docstring says so. `operation` makes rules of your own,
`check_rule` proves them, `book.BOOK` has the record of every rule here.
"""

from diffprog.rules.anatomy import Backward as Backward
from diffprog.rules.anatomy import operation as operation
from diffprog.rules.attention import dot_product_attention as dot_product_attention
from diffprog.rules.average import avg_pool as avg_pool
from diffprog.rules.average import global_avg_pool as global_avg_pool
from diffprog.rules.average import sum_pool as sum_pool
from diffprog.rules.check import check_rule as check_rule
from diffprog.rules.check import prove as prove
from diffprog.rules.checks.proof import Check as Check
from diffprog.rules.checks.proof import Proof as Proof
from diffprog.rules.contrastive import info_nce as info_nce
from diffprog.rules.contrastive import sigmoid_contrastive as sigmoid_contrastive
from diffprog.rules.conv_transpose import conv_transpose as conv_transpose
from diffprog.rules.convolution import conv_general_dilated as conv_general_dilated
from diffprog.rules.cross_entropy import softmax_cross_entropy as softmax_cross_entropy
from diffprog.rules.cross_entropy import (
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
)
from diffprog.rules.dot_general import dot_general as dot_general
from diffprog.rules.embedding import embedding as embedding
from diffprog.rules.frozen_norm import batch_norm_frozen as batch_norm_frozen
from diffprog.rules.gradient import clip_gradient as clip_gradient
from diffprog.rules.gradient import normalize_gradient as normalize_gradient
from diffprog.rules.gradient import reverse_gradient as reverse_gradient
from diffprog.rules.gradient import stop_gradient as stop_gradient
from diffprog.rules.gradient import straight_through as straight_through
from diffprog.rules.l2 import l2_normalize as l2_normalize
from diffprog.rules.linear import linear as linear
from diffprog.rules.losses import binary_cross_entropy as binary_cross_entropy
from diffprog.rules.losses import huber as huber
from diffprog.rules.losses import squared_error as squared_error
from diffprog.rules.normalization import batch_norm as batch_norm
from diffprog.rules.normalization import batch_statistics as batch_statistics
from diffprog.rules.normalization import group_norm as group_norm
from diffprog.rules.normalization import layer_norm as layer_norm
from diffprog.rules.normalization import rms_norm as rms_norm
from diffprog.rules.pointwise import absolute as absolute
from diffprog.rules.pointwise import clip as clip
from diffprog.rules.pointwise import hard_swish as hard_swish
from diffprog.rules.pointwise import leaky_relu as leaky_relu
from diffprog.rules.pointwise import relu as relu
from diffprog.rules.pointwise import relu6 as relu6
from diffprog.rules.pooling import max_pool as max_pool
from diffprog.rules.powers import exp as exp
from diffprog.rules.powers import log as log
from diffprog.rules.powers import power as power
from diffprog.rules.powers import sqrt as sqrt
from diffprog.rules.powers import square as square
from diffprog.rules.record import Case as Case
from diffprog.rules.record import Rule as Rule
from diffprog.rules.resample import affine as affine
from diffprog.rules.resize import resize as resize
from diffprog.rules.similarity import cosine_distance as cosine_distance
from diffprog.rules.similarity import cosine_similarity as cosine_similarity
from diffprog.rules.smooth import gelu as gelu
from diffprog.rules.smooth import quick_gelu as quick_gelu
from diffprog.rules.smooth import sigmoid as sigmoid
from diffprog.rules.smooth import silu as silu
from diffprog.rules.smooth import softplus as softplus
from diffprog.rules.smooth import tanh as tanh
from diffprog.rules.softmax import log_softmax as log_softmax
from diffprog.rules.softmax import logsumexp as logsumexp
from diffprog.rules.softmax import softmax as softmax
from diffprog.rules.structure import branch as branch
from diffprog.rules.structure import broadcast as broadcast
from diffprog.rules.structure import concatenate as concatenate
from diffprog.rules.structure import merge as merge
from diffprog.rules.structure import reshape as reshape
from diffprog.rules.structure import shared as shared
