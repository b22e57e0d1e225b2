"""An agent that lets its model call a Python function. The model is the one behind TOLLWAY_URL."""

import asyncio

from tollway.agent import BaseAgent
from tollway.models import OpenAILike
from tollway.tools import ToolExecutor, ToolRegistry, tool


@tool
def search_web(query: str) -> str:
    """Searches the web."""
    return f"nothing is known about {query!r}"


class Researcher(BaseAgent):
    """Asks the model, runs the tools it wants, and asks again until it answers."""

    llm: OpenAILike

    def __init__(self, llm: OpenAILike) -> None:
        super().__init__(llm=llm)
        self.registry = ToolRegistry(search_web)
        self.executor = ToolExecutor(self.registry)

    async def answer(self, question: str) -> str:
        self.memory.add_user(question)
        answer = await self.llm.acall(self.memory.build_history(), tools=self.registry.get_all_tools())
        while answer.has_tool_calls:
            self.memory.add_assistant(answer)
            self.memory.add_tool_result(await self.executor.execute(answer.tool_calls))
            answer = await self.llm.acall(self.memory.build_history())
            await answer.read()
        self.memory.add_assistant(answer)
        return answer.response


async def main() -> None:
    llm = OpenAILike(model_name="demo")
    print(await Researcher(llm).answer("toll roads"))
    await llm.aclose()


if __name__ == "__main__":
    asyncio.run(main())
