"""The ledger: books every attempt exactly once, prices it, answers questions about it and shows the dashboard."""
