"""A graph, and the sweep back through it, as files people open: a page, a picture, DOT."""
