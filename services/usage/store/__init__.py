"""The ledger's data: the only SQL of the service, one file per family of tables."""
