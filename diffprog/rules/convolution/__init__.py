"""Convolutions of every kind; `general` chooses among formulations, each in a file of its own."""
