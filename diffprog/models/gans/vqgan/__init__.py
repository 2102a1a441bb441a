"""The decoder of a VQGAN: a picture from a grid of vectors, each one of a codebook."""
