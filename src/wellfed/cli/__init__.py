"""The command line: renders values; nothing is computed here."""
