"""The benchmark: what a request costs here and at the peers, in one run on one machine."""
