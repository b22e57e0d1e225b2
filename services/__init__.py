"""Tollway's five services, the composition of all of them in one process, and the command line."""
