"""The library's verbs: what the command line, the page and programs call. They return values and print nothing."""
