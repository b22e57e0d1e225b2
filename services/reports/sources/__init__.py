"""Where facts come from: one module per data provider, and the packaged synthetic sample."""
