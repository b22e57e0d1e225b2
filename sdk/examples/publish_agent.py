"""An agent that remembers its visitors, as an OpenAI-compatible API.

Serve it with `uvicorn publish_agent:app`; run as a program it asks itself two questions.
"""

import asyncio

import httpx2
from tollway.agent import BaseAgent
from tollway.server import APIPublisherConfig, OpenAIRequest, publish_agent_api


class Receptionist(BaseAgent):
    """Greets, and remembers what was said in the session."""

    async def run(self, request: OpenAIRequest) -> None:
        self.memory.add_user(request.get_user_query())
        said = [message["content"] for message in self.memory.build_history()]
        await self.stream.send("thinking", f"{len(said)} message(s) so far")
        await self.stream.send("text", "You said: " + "; ".join(said))
        await self.stream.stop()


config = APIPublisherConfig(path="/agent", api_title="{agent_name} API", memory_ttl=3600)
app = publish_agent_api(Receptionist(), "run", config)


async def main() -> None:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://agent") as client:
        for text in ("hello", "are you still there?"):
            messages = [{"role": "user", "content": text}]
            body = {"messages": messages, "session_id": "visitor", "stream": False}
            answer = await client.post("/agent/chat/completions", json=body)
            print(answer.json()["choices"][0]["delta"]["content"])


if __name__ == "__main__":
    asyncio.run(main())
