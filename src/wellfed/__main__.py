"""`python -m wellfed`."""

from wellfed.cli.main import main

main()
