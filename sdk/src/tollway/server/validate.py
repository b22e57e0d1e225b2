"""Whether an agent can be published, said before the first request comes."""

import inspect
from typing import Any, NoReturn, get_type_hints

from tollway.agent import BaseAgent
from tollway.errors import AgentValidationError
from tollway.server.request import OpenAIRequest

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def validate_agent(agent: Any, method: str) -> type[OpenAIRequest]:
    """The request type of the method, or an AgentValidationError that says what is wrong."""
    if isinstance(agent, type):
        _refuse(f"publish an instance: {agent.__name__}(…), not the class itself")
    if not isinstance(agent, BaseAgent):
        _refuse(f"an agent must be a tollway.agent.BaseAgent, not a {type(agent).__name__}")
    if not isinstance(method, str):
        _refuse(f"name the method to publish: 'run', not {method!r}")
    name = type(agent).__name__
    found = getattr(agent, method, None)
    if found is None:
        _refuse(f"{name} has no method {method!r}")
    if not callable(found):
        _refuse(f"{name}.{method} is not a method")
    if not inspect.iscoroutinefunction(found):
        _refuse(f"{name}.{method} must be an `async def` that returns, not a generator or a plain function")
    parameters = list(inspect.signature(found).parameters.values())
    if len(parameters) != 1:
        _refuse(f"{name}.{method} must take exactly one parameter, the request; it takes {len(parameters)}")
    if parameters[0].kind not in POSITIONAL:
        _refuse(f"{name}.{method} must take the request as an ordinary parameter, not as `{parameters[0]}`")
    return _request_type(found, parameters[0], f"{name}.{method}")


def _request_type(found: Any, parameter: inspect.Parameter, place: str) -> type[OpenAIRequest]:
    annotation = _resolved(found, parameter)
    if not (isinstance(annotation, type) and issubclass(annotation, OpenAIRequest)):
        told = "nothing" if annotation is parameter.empty else annotation
        _refuse(f"the parameter {parameter.name!r} of {place} must be annotated OpenAIRequest, not {told}")
    return annotation


def _resolved(found: Any, parameter: inspect.Parameter) -> Any:
    annotation = parameter.annotation
    if isinstance(annotation, str):
        # `from __future__ import annotations`: the names may be known only where the class was defined
        try:
            annotation = get_type_hints(found).get(parameter.name, annotation)
        except NameError:
            if annotation.rpartition(".")[2] == OpenAIRequest.__name__:
                return OpenAIRequest
    return annotation


def _refuse(reason: str) -> NoReturn:
    raise AgentValidationError(reason)
