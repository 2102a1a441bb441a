"""What one node does forward and backward: hand-written vector-Jacobian products."""

from diffprog.rules.convolution import conv_general_dilated as conv_general_dilated
from diffprog.rules.pointwise import relu as relu
from diffprog.rules.pointwise import relu6 as relu6
from diffprog.rules.pooling import max_pool as max_pool
