"""Where tools come from: our own, Python code of the operator, MCP servers, UnifAI."""
