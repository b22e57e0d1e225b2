"""Every provider behind one call: choice, credentials, translation, attempts, failover and metering."""
