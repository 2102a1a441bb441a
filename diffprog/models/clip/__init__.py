"""CLIP: pictures and words in one space, from the published weight files, without torch.

`load` reads Hugging Face's, OpenAI's and OpenCLIP's files, and those that `save` wrote. A `Clip` has `image_features`,
`text_features`, `tokenize`, `similarity` and `probabilities`; its `image_tower` is a network whose units can be drawn.
Training one is in `diffprog.contrastive`.
"""

from diffprog.models.clip.architecture import KNOWN as KNOWN
from diffprog.models.clip.architecture import Architecture as Architecture
from diffprog.models.clip.architecture import ResNet as ResNet
from diffprog.models.clip.architecture import TextTransformer as TextTransformer
from diffprog.models.clip.architecture import VisionTransformer as VisionTransformer
from diffprog.models.clip.loading import load as load
from diffprog.models.clip.model import Clip as Clip
from diffprog.models.clip.model import ImageTower as ImageTower
from diffprog.models.clip.model import TextTower as TextTower
from diffprog.models.clip.preprocess import preprocess as preprocess
from diffprog.models.clip.published import expected as expected
from diffprog.models.clip.saving import described as described
from diffprog.models.clip.saving import save as save
from diffprog.models.clip.tokenizer import Tokenizer as Tokenizer
