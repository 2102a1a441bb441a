"""Contrastive pre-training: towers for pictures and for words, trained until each picture is nearest to its name.

`concepts` makes pairs of drawings, `pretrain` trains a small CLIP on them, on one device or on several, `retrieval`
says how well names find pictures that were never seen. What comes out is a `Clip` like any other.
"""

from diffprog.contrastive.cost import LOSSES as LOSSES
from diffprog.contrastive.cost import contrastive_cost as contrastive_cost
from diffprog.contrastive.pairs import Pairs as Pairs
from diffprog.contrastive.pairs import concepts as concepts
from diffprog.contrastive.retrieval import Retrieval as Retrieval
from diffprog.contrastive.retrieval import retrieval as retrieval
from diffprog.contrastive.training import SMALL as SMALL
from diffprog.contrastive.training import Pretrained as Pretrained
from diffprog.contrastive.training import pretrain as pretrain
