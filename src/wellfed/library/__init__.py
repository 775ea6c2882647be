"""The library's doors: the verbs with the long options of their commands as keywords, and results to look at.

`wellfed.plan` and its kin are these functions; the command line, the API and agents go through the same ones.
"""
