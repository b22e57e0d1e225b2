"""Tool workers: run the tool calls that arrive on the bus."""
