"""One local process for people, programs and agents: the page, the REST API and MCP over the library's verbs."""
