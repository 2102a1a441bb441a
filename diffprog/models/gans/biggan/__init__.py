"""BigGAN-deep: a picture of one of ImageNet's thousand classes, or of any mixture of them."""
