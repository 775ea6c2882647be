"""Findings as text for machines: JSON, JUnit, Prometheus, a script to review. Pure."""
