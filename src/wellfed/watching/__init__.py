"""A running engine and the machine under it: samples, windows over them, and what they say of the bottleneck."""
