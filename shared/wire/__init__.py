"""What goes over the wire in each dialect: events, errors, usage, answers; nothing here translates."""
