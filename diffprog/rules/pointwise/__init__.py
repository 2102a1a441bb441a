"""Functions of one number, applied to every element."""
