"""Machines and their parts, as values."""
