"""The four readers of an upstream stream: two that translate it, two that only watch it go by."""

from shared.translate.progress import Progress
from shared.translate.to_anthropic_stream import OpenAIToAnthropic
from shared.translate.to_openai_stream import AnthropicToOpenAI
from shared.translate.watch import AnthropicWatcher, OpenAIWatcher

__all__ = ["AnthropicToOpenAI", "AnthropicWatcher", "OpenAIToAnthropic", "OpenAIWatcher", "Progress"]
