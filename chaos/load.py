"""Clients that go on asking, whatever happens to the system behind them."""

import http.client
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tests.system.stack import ADMIN

MODELS = ("o-ok", "a-ok", "o-slow-20", "a-slow-20", "o-cut", "o-echo")
TOOL_MODELS = ("o-tool", "a-tool")
# Every request bears a mark of its own: its text carries it to the provider, the user's name carries it to the ledger.
MARK = re.compile(r"mark-[0-9a-f]{16}")


class Load:
    """A bounded number of threads, each with one request at a time; some leave in the middle of a stream.

    With a tool's name, every fourth request has the model call it.
    """

    def __init__(
        self, url: str, threads: int, seed: int, models: Sequence[str] = MODELS, tool: str | None = None
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self.slowest_seconds = 0.0
        self._models = models
        self._tool = tool
        self.token = ADMIN
        self._url = urlsplit(url)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed} {number}"),), daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(90)

    def _run(self, dice: random.Random) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self.outcomes[self._ask(dice)] += 1
            except (OSError, http.client.HTTPException):
                self.outcomes["connection lost"] += 1
                self._stop.wait(0.2)
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)

    def _ask(self, dice: random.Random) -> str:
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=60)
        try:
            stream, leaves = dice.random() < 0.6, dice.random() < 0.1
            body, mark = self._question(dice, stream=stream)
            headers = {
                "authorization": f"Bearer {self.token}",
                "content-type": "application/json",
                "x-tollway-user": mark,
            }
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            answer = connection.getresponse()
            if leaves:
                answer.read(64)
                return "left"
            text = answer.read()
            if answer.status != 200:
                if answer.status in (502, 503):
                    self._stop.wait(0.1)
                return f"status {answer.status}"
            return "ok" if not stream or text.rstrip().endswith(b"[DONE]") else "in-stream error"
        finally:
            connection.close()

    def _question(self, dice: random.Random, *, stream: bool) -> tuple[dict[str, Any], str]:
        mark = f"mark-{dice.getrandbits(64):016x}"
        if self._tool is not None and dice.random() < 0.25:
            model, text = dice.choice(TOOL_MODELS), json.dumps({"marker": mark})
            rest: dict[str, Any] = {"tollway": {"tools": [self._tool]}}
        else:
            model, text, rest = dice.choice(self._models), mark + "x" * dice.randrange(5, 400), {}
        return {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}], **rest}, mark
