"""Registers an agent with a gateway, so that one gate serves models and agents alike.

Run as a program it writes tollway.yaml; then, in two terminals:

    uvicorn agent_as_model:app --port 8100
    tollway up --config tollway.yaml

and every client of the gateway may ask for the model `my-agent`, with keys, budgets and usage like any other.
"""

from pathlib import Path

from tollway.agent import BaseAgent
from tollway.server import APIPublisherConfig, OpenAIRequest, publish_agent_api

CONFIG = """\
providers:
  my_agents: {protocol: openai, base_url: "http://127.0.0.1:8100/v1"}
models:
  my-agent: {targets: [{provider: my_agents, model: shouter}]}
"""


class Shouter(BaseAgent):
    """Says it louder."""

    async def run(self, request: OpenAIRequest) -> None:
        for word in request.get_user_query().upper().split():
            await self.stream.send("text", word + "! ")
        await self.stream.stop()


# the gateway is an OpenAI client, so the agent answers in OpenAI's own shape
app = publish_agent_api(Shouter(), "run", APIPublisherConfig(path="/v1", model_name="shouter", strict_openai=True))


if __name__ == "__main__":
    Path("tollway.yaml").write_text(CONFIG)
    print("wrote tollway.yaml")
