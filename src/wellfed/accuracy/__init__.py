"""Predictions held against measurement tables, and calibrations refitted from them."""
