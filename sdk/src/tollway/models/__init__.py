"""Language models behind the OpenAI protocol."""

from tollway.models.answer import Chunk, ModelAnswer
from tollway.models.openai_like import ModelError, OpenAILike

__all__ = ["Chunk", "ModelAnswer", "ModelError", "OpenAILike"]
