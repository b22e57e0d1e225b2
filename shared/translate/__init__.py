"""OpenAI chat completions to Anthropic Messages and back: requests, answers, streams, errors. No I/O."""
