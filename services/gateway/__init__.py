"""Everything about the client: dialects, keys, limits, budgets, sessions, prompt cache, tool loop, one
origin.
"""
