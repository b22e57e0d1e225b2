"""The chapters of a token report: each turns findings into facts, chart specifications and tables."""
