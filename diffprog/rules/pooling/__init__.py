"""Maxima, sums and averages over sliding windows."""
