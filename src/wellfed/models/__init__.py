"""Models as values: layers, tensors, weights. Nothing here reads a file."""
