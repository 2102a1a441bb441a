"""Backprop, watched: the backward sweep node by node, and what is said about every node."""
