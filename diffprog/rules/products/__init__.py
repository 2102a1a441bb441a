"""Sums of products: the linear layer, `dot_general`, rows picked from a table."""
