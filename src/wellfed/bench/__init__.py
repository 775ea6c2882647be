"""Measuring: memory, links, engines; and what is learnt from it."""
