"""One file per diagnosis."""
