"""placeholder: plain operation until the hand rule lands"""

from flax.linen import max_pool as max_pool
