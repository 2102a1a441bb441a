"""Real networks and where their weights come from."""

from diffprog.models import clip as clip
from diffprog.models import gans as gans
from diffprog.models.catalogue import CARDS as CARDS
from diffprog.models.catalogue import OTHER_CARDS as OTHER_CARDS
from diffprog.models.catalogue import Card as Card
from diffprog.models.catalogue import Other as Other
from diffprog.models.catalogue import card as card
from diffprog.models.catalogue import names as names
from diffprog.models.generator import GeneratorNetwork as GeneratorNetwork
from diffprog.models.loading import OTHERS as OTHERS
from diffprog.models.loading import at_hand as at_hand
from diffprog.models.loading import fetch as fetch
from diffprog.models.loading import load as load
from diffprog.models.minilm import SentenceEncoder as SentenceEncoder
from diffprog.models.network import Network as Network
