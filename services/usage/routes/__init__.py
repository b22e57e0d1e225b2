"""The HTTP edge of the ledger: parameters in, one verb, a shape out."""
