"""The rows of report jobs: the only SQL of this service."""
