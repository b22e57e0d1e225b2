"""The doors: each translates HTTP to the use case and back, and holds no rule of its own."""
