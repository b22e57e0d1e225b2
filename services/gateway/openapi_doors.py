"""The hot doors as OpenAPI describes them: only what the gateway itself acts on is fixed, the rest travels to the
provider.
"""

from typing import Any

Document = dict[str, Any]


def _list_of(items: Document) -> Document:
    return {"type": "array", "minItems": 1, "items": items}


_NO_NUL = "^[^\\u0000]*$"
_NAME: Document = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": _NO_NUL}
_LABEL: Document = {"type": ["string", "null"], "maxLength": 256, "pattern": _NO_NUL}
_COUNT: Document = {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000}

_FLAG: Document = {"type": ["boolean", "null"]}

_TOLLWAY: Document = {
    "type": ["object", "null"],
    "description": "Tollway's own extras; they never reach a provider.",
    "properties": {
        "tools": {"type": ["array", "null"], "items": {"type": "string"}, "description": "`*`, names or `server__*`"},
        "function": _LABEL,
        "anchor_id": _LABEL,
        "metadata": {},
    },
}
_OWN: Document = {"session_id": _LABEL, "user_id": _LABEL, "tollway": {"$ref": "#/components/schemas/TollwayExtras"}}

_OPENAI_MESSAGE: Document = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"type": "string", "enum": ["system", "user", "assistant"]},
        "content": {"type": "string", "minLength": 1},
    },
}
_ANTHROPIC_MESSAGE: Document = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"type": "string", "enum": ["user", "assistant"]},
        "content": {"type": "string", "minLength": 1},
    },
}

_SCHEMAS: Document = {
    "TollwayExtras": _TOLLWAY,
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "type": {"type": "string"},
            "error": {
                "type": "object",
                "required": ["message", "type"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": ["string", "null"]},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "integer", "null"]},
                },
            },
            "request_id": {"type": ["string", "null"]},
        },
    },
    "ChatRequest": {
        "type": "object",
        "required": ["model", "messages"],
        "properties": {
            "model": _NAME,
            "messages": _list_of(_OPENAI_MESSAGE),
            "stream": _FLAG,
            "stream_options": {"type": ["object", "null"], "properties": {"include_usage": _FLAG}},
            "max_tokens": _COUNT,
            "max_completion_tokens": _COUNT,
            **_OWN,
        },
    },
    "ChatAnswer": {
        "type": "object",
        "required": ["id", "object", "created", "model", "choices"],
        "properties": {"object": {"const": "chat.completion"}, "choices": {"type": "array"}},
    },
    "MessagesRequest": {
        "type": "object",
        "required": ["model", "messages", "max_tokens"],
        "properties": {
            "model": _NAME,
            "messages": _list_of(_ANTHROPIC_MESSAGE),
            "max_tokens": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
            "stream": _FLAG,
            **_OWN,
        },
    },
    "CountRequest": {
        "type": "object",
        "required": ["model", "messages"],
        "properties": {"model": _NAME, "messages": _list_of(_ANTHROPIC_MESSAGE), **_OWN},
    },
    "Message": {
        "type": "object",
        "required": ["id", "type", "role", "model", "content", "usage"],
        "properties": {"type": {"const": "message"}, "content": {"type": "array"}},
    },
    "Count": {"type": "object", "required": ["input_tokens"], "properties": {"input_tokens": {"type": "integer"}}},
    "EmbeddingsRequest": {
        "type": "object",
        "required": ["model", "input"],
        "properties": {
            "model": _NAME,
            "input": {"anyOf": [{"type": "string", "minLength": 1}, _list_of({"type": "string"})]},
            **_OWN,
        },
    },
    "Embeddings": {
        "type": "object",
        "required": ["object", "data", "model"],
        "properties": {"object": {"const": "list"}, "data": {"type": "array"}},
    },
    "Model": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
    "Models": {
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}},
    },
    "ModelConfig": {
        "type": ["object", "null"],
        "properties": {
            "model_name": {"type": ["string", "null"], "maxLength": 256},
            "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
            "max_tokens": _COUNT,
        },
    },
    "ChatTurn": {
        "type": "object",
        "required": ["session_id", "content"],
        "properties": {
            "session_id": _NAME,
            "content": {"type": "string", "minLength": 1},
            "model_config": {"$ref": "#/components/schemas/ModelConfig"},
        },
    },
    "DirectTurn": {
        "type": "object",
        "required": ["session_id", "messages"],
        "properties": {
            "session_id": _NAME,
            "messages": _list_of(_OPENAI_MESSAGE),
            "model_config": {"$ref": "#/components/schemas/ModelConfig"},
        },
    },
    "Abort": {
        "type": "object",
        "properties": {"session_id": _NAME, "request_id": _NAME},
        "anyOf": [{"required": ["session_id"]}, {"required": ["request_id"]}],
    },
    "Aborted": {"type": "object", "required": ["aborted"], "properties": {"aborted": {"type": "boolean"}}},
    "Tools": {"type": "object", "required": ["tools"], "properties": {"tools": {"type": "array"}}},
    "Servers": {"type": "object", "required": ["servers"], "properties": {"servers": {"type": "array"}}},
    "Ready": {"type": "object", "required": ["ready", "checks"], "properties": {"ready": {"type": "boolean"}}},
    "Health": {"type": "object", "required": ["status", "config"], "properties": {"status": {"type": "string"}}},
}  # fmt: skip

COMPONENTS: Document = {
    "schemas": _SCHEMAS,
    "securitySchemes": {
        "bearer": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    },
}
_SECURITY: list[Document] = [{"bearer": []}, {"apiKey": []}]
_REFUSALS = (
    "400",
    "401",
    "402",
    "403",
    "404",
    "408",
    "409",
    "413",
    "415",
    "422",
    "429",
    "500",
    "502",
    "503",
    "504",
    "529",
)


def _json(schema: str) -> Document:
    return {"schema": {"$ref": f"#/components/schemas/{schema}"}}


def _refusals(*statuses: str) -> Document:
    told = {"description": "Refused; the body says why.", "content": {"application/json": _json("Error")}}
    return dict.fromkeys(statuses, told)


def _call(name: str, summary: str, tag: str, request: str, answer: str | None, *, streams: bool) -> Document:
    content: Document = {"application/json": _json(answer)} if answer else {}
    if streams:
        content["text/event-stream"] = {}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "tags": [tag],
            "security": _SECURITY,
            "requestBody": {"required": True, "content": {"application/json": _json(request)}},
            "responses": {"200": {"description": "The answer", "content": content}, **_refusals(*_REFUSALS)},
        }
    }


def _read(name: str, summary: str, answer: str, parameters: list[Document], *refusals: str) -> Document:
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "tags": ["models"],
            "security": _SECURITY,
            "parameters": parameters,
            "responses": {
                "200": {"description": "Found", "content": {"application/json": _json(answer)}},
                **_refusals("401", "503", *refusals),
            },
        }
    }


def _open(name: str, summary: str, kind: str, schema: Document, also: Document | None = None) -> Document:
    told = {"description": "Told", "content": {kind: {"schema": schema}}}
    responses = {"200": told, **(also or {})}
    return {"get": {"operationId": name, "summary": summary, "tags": ["operations"], "responses": responses}}


_VERSION: Document = {
    "name": "anthropic-version", "in": "header", "required": False,
    "schema": {"type": "string"}, "description": "sent by Anthropic's clients; asks for Anthropic's shape",
}  # fmt: skip
_MODEL_ID: Document = {"name": "model_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _chat_surface() -> Document:
    stream = "Chat events: chunk, tool_call, tool_stream_chunk, tool_result, then complete or error"
    return {
        "/api/chat/stream": _call("chat_stream", stream, "chat", "ChatTurn", None, streams=True),
        "/api/chat/stream/direct": _call("chat_direct", stream, "chat", "DirectTurn", None, streams=True),
        "/api/chat/abort": _call("chat_abort", "Stop the running answer", "chat", "Abort", "Aborted", streams=False),
        "/api/tools": _read("tools", "Tools this key may use", "Tools", [], "403"),
        "/api/servers": _read("servers", "Where tools come from", "Servers", [], "403"),
    }


def described(chat_paths: list[str]) -> Document:
    """All hot doors; chat completions at the paths in force."""
    paths: Document = {}
    for index, path in enumerate(chat_paths):
        name = "chat_completions" if index == 0 else f"chat_completions_{index}"
        paths[path] = _call(name, "OpenAI chat completions", "openai", "ChatRequest", "ChatAnswer", streams=True)
    for base, mark in (("/v1", ""), ("/api/v1", "_api")):
        paths[f"{base}/messages"] = _call(
            f"messages{mark}", "Anthropic messages", "anthropic", "MessagesRequest", "Message", streams=True
        )
        paths[f"{base}/messages/count_tokens"] = _call(
            f"count_tokens{mark}", "Anthropic token counts", "anthropic", "CountRequest", "Count", streams=False
        )
        paths[f"{base}/embeddings"] = _call(
            f"embeddings{mark}", "OpenAI embeddings", "openai", "EmbeddingsRequest", "Embeddings", streams=False
        )
        paths[f"{base}/models"] = _read(f"models{mark}", "Models this key may use", "Models", [_VERSION], "400")
        paths[f"{base}/models/{{model_id}}"] = _read(f"model{mark}", "One model", "Model", [_MODEL_ID, _VERSION], "404")
    paths |= _chat_surface()
    unready = {"503": {"description": "Not ready", "content": {"application/json": _json("Ready")}}}
    paths["/health"] = _open("health", "The process", "application/json", {"$ref": "#/components/schemas/Health"})
    paths["/ready"] = _open(
        "ready", "Its dependencies", "application/json", {"$ref": "#/components/schemas/Ready"}, unready
    )
    paths["/metrics"] = _open("metrics", "Prometheus metrics", "text/plain", {"type": "string"})
    return paths
