"""The loop's answer in one piece: all rounds are run before there is an answer."""

from collections.abc import Mapping

from services.gateway import refusal
from services.gateway.answers import WholeAnswer
from services.gateway.tool_loop.calls import Notice
from services.gateway.tool_loop.dialect import Turn
from services.gateway.tool_loop.rounds import Broken, End, Rounds
from services.gateway.tool_loop.voice import WholeVoice
from shared.errors import TollwayError
from shared.messages.gateway import Answer

_NOT_PASSED_ON = ("content-length", "x-tollway-attempts")


async def answered_whole(rounds: Rounds, first: Answer) -> Answer:
    """Run the rounds. Cancelling this stops the model and the tools, and waits until that is booked."""
    voice = WholeVoice(rounds.call.dialect)
    headers: dict[str, str] = {}

    async def take(answer: Answer) -> Turn:
        headers.clear()
        headers.update(_passed_on(answer.headers))
        return await voice.take(answer)

    try:
        end = await rounds.run(first, take, _tell_nobody)
        if isinstance(end, Broken):
            return await _broken(rounds, end, headers, voice)
    except TollwayError as error:
        return _refused(rounds, error)
    except BaseException:
        await rounds.settle("aborted")
        raise
    return _whole(rounds, end, headers, voice)


def _whole(rounds: Rounds, end: End, headers: Mapping[str, str], voice: WholeVoice) -> Answer:
    body = voice.body(end.finish, end.kept, end.limit, rounds.usage_beside())
    return WholeAnswer(200, {**headers, **_counted(rounds)}, [body], rounds.ending("ok"))


async def _broken(rounds: Rounds, end: Broken, headers: dict[str, str], voice: WholeVoice) -> Answer:
    """A round that failed fails the answer, in the words of whoever refused it; what was used until then is told."""
    if end.answer is None:
        return WholeAnswer(502, {**headers, **_counted(rounds)}, [voice.untouched()], rounds.ending("error"))
    await voice.take(end.answer)
    await rounds.settle()
    told = {**_passed_on(end.answer.headers), **_counted(rounds)}
    return WholeAnswer(end.answer.status, told, [voice.untouched()], rounds.ending("error"))


def _refused(rounds: Rounds, error: TollwayError) -> Answer:
    body = refusal.body_of(error, rounds.call.dialect, rounds.call.request_id)
    headers = {"content-type": "application/json", **refusal.headers_of(error), **_counted(rounds)}
    return WholeAnswer(error.status, headers, [body], rounds.ending("error", error=error.message))


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON}


def _counted(rounds: Rounds) -> dict[str, str]:
    return {"x-tollway-attempts": str(rounds.attempts)}


async def _tell_nobody(notice: Notice) -> None:
    del notice
