"""A provider for Claude Code: asks for one shell command, and once it has the result, says that it is done.

usage: claude_code_provider.py PORT      GET / tells what it was asked
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CALLS: list[dict[str, Any]] = []
RUN = {"command": "echo toll-42 > out.txt", "description": "write the file"}


def turn(body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The block to answer with, and why it stops."""
    offered = [tool["name"] for tool in body.get("tools", [])]
    if "Bash" in offered and not results(body):
        return {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": RUN}, "tool_use"
    return {"type": "text", "text": "The file is written."}, "end_turn"


def results(body: dict[str, Any]) -> list[Any]:
    blocks = [
        block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]
    ]
    return [block for block in blocks if block.get("type") == "tool_result"]


def events(message: dict[str, Any], block: dict[str, Any], stop: str) -> list[dict[str, Any]]:
    if block["type"] == "tool_use":
        start = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]


class Provider(BaseHTTPRequestHandler):
    """Messages, streamed and not, and what was asked."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        self._answer(json.dumps(CALLS).encode(), "application/json")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        CALLS.append({"path": self.path, "headers": headers, "results": results(body), "body": body})
        block, stop = turn(body)
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 1},
        }
        if body.get("stream"):
            told = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events(message, block, stop)]
            self._answer("".join(told).encode(), "text/event-stream")
        else:
            whole = {**message, "content": [block], "stop_reason": stop}
            self._answer(json.dumps(whole).encode(), "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Provider).serve_forever()
