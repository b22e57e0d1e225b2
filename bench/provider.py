"""An instant provider: canned OpenAI answers, plain and as a stream of N chunks in one write or paced."""

import asyncio
import json
import re
import sys

import uvicorn

PLAIN = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "word " * 40},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 40, "total_tokens": 60},
    }
).encode()


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return (
        b"data: "
        + json.dumps(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "bench",
                "choices": [choice],
            }
        ).encode()
        + b"\n\n"
    )


def pieces(count: int) -> list[bytes]:
    usage = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "bench",
        "choices": [],
        "usage": {"prompt_tokens": 20, "completion_tokens": count, "total_tokens": 20 + count},
    }
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": f"word{number} "}) for number in range(count)),
        chunk({}, "stop"),
        b"data: " + json.dumps(usage).encode() + b"\n\ndata: [DONE]\n\n",
    ]


STREAM = pieces(100)


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if b'"stream":true' not in body and b'"stream": true' not in body:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(PLAIN)).encode())],
            }
        )
        await send({"type": "http.response.body", "body": PLAIN})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    pace = re.search(rb"paced-(\d+)", body)
    if pace is None:
        await send({"type": "http.response.body", "body": b"".join(STREAM)})
        return
    for piece in pieces(int(pace[1])):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0.02)
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        access_log=False,
        http="httptools",
        loop="uvloop",
        lifespan="off",
    )
