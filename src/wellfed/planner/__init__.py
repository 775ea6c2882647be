"""Planning: enumerate the sensible layouts, drop the impossible ones, rank the rest."""
