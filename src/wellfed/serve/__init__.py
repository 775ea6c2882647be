"""The doors besides the command line: a page for people, a REST API for programs, tools for agents."""
