"""Machines as people write them: a line, a file or a name becomes parts, and parts become a machine."""
