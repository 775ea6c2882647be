"""Inference engines: what each can and cannot do, and how each is started."""
