"""placeholder: plain operation until the hand rule lands"""

from jax.nn import relu as relu
from jax.nn import relu6 as relu6
