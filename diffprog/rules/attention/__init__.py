"""Softmax and what is built on it."""
