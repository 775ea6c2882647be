"""The page for people: rendered here, changed by htmx, every state a URL."""
