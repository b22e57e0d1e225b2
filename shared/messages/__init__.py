"""What is said between the services: frozen, versioned, additive. One file per speaker."""
