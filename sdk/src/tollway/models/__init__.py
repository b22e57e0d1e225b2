"""Language models behind the OpenAI protocol."""

from tollway.models.answer import Chunk, ModelAnswer
from tollway.models.openai_like import OpenAILike

__all__ = ["Chunk", "ModelAnswer", "OpenAILike"]
