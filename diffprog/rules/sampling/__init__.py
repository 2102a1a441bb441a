"""Pictures read at other places: resizing and affine maps."""
