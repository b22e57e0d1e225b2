"""The chat surface behind its routes: what is asked in its own words, running answers, the events they become."""
