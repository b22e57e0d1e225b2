"""The two languages that clients and providers speak."""

from typing import Literal

Dialect = Literal["openai", "anthropic"]
