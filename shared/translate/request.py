"""Requests, from each dialect to the other."""

from shared.translate.anthropic_request import openai_to_anthropic
from shared.translate.openai_request import anthropic_to_openai
from shared.translate.terms import CannotTranslate, RequestOptions, Translated

__all__ = ["CannotTranslate", "RequestOptions", "Translated", "anthropic_to_openai", "openai_to_anthropic"]
