"""Fits of the bundled calibration from measurement tables: what a developer runs, outside the wheel."""
