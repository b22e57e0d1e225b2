"""What two or more services need, and no service's nouns."""
