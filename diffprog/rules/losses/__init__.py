"""Scalars to minimize."""
