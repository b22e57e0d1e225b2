"""The one door of a Tollway that records go through, with books a test can read and faults it can order."""

import threading

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.integration.sdk.serve import Served


class FakeLedger:
    """Its knob: `failing`, the statuses to answer first."""

    token = "admin-token-of-the-fake"

    def __init__(self):
        self.records = {}
        self.batches = []
        self.failing = []
        self._received = threading.Condition()
        app = FastAPI()
        app.post("/api/ai_usage/record")(self._record)
        self._served = Served(app)

    def __enter__(self):
        self._served.__enter__()
        return self

    def __exit__(self, *exc):
        self._served.__exit__(*exc)

    @property
    def environment(self):
        """What a program of the library needs to find it."""
        return {"TOLLWAY_URL": self._served.url, "TOLLWAY_ADMIN_TOKEN": self.token}

    def wait_records(self, count, seconds=20):
        with self._received:
            arrived = self._received.wait_for(lambda: len(self.records) >= count, seconds)
        assert arrived, f"{len(self.records)} of {count} records arrived"
        return list(self.records.values())

    async def _record(self, request: Request):
        if self.failing:
            return JSONResponse({"error": {"message": "not now", "code": "busy"}}, status_code=self.failing.pop(0))
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"error": {"message": "who are you?", "code": "invalid_api_key"}}, 401)
        events = await request.json()
        ids = [event["event_id"] for event in events]
        with self._received:
            self.batches.append(len(events))
            new = [event for event in events if event["event_id"] not in self.records]
            self.records.update({event["event_id"]: event for event in new})
            self._received.notify_all()
        return {"accepted": len(new), "duplicates": len(events) - len(new), "event_ids": ids}
