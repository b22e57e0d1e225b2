"""Server-side tools: what is offered to the model, its calls run over the bus, and one answer told to the client."""
