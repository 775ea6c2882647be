"""wellfed: is your GPU well fed?"""

__version__ = "0.1.0"
