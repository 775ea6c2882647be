"""Checks of a machine: rules as data, run over a Machine, priced by an estimator, rendered. No I/O."""
