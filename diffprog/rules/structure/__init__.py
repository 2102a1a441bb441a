"""How values part, meet and change shape, and gradients that are changed on purpose."""
