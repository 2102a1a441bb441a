"""StyleGAN2: a normal vector is mapped to a style, and a style modulates every convolution."""
