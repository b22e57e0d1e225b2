"""What the model is asked, and how its answer is read. Texts from data providers never enter a prompt."""

import re
from typing import Any

import msgspec

from services.reports import figures
from services.reports.facts import Analysis
from services.reports.insight.claims import Claim
from services.reports.words import words

FENCE = re.compile(r"^```[a-z]*\s*|\s*```$")
MOST_CLAIMS = 14
SYSTEM = """You write the insight section of a token report in {language}.
You are given facts as JSON: id, label, value as it will be shown. Answer with JSON only, in this shape:
{{"claims": [{{"chapter": "risk", "text": "…", "stance": "positive|negative|neutral"}}]}}
Rules, checked by a program:
- Never type a digit or a number word. Show a value as {{{{f:id}}}}, or {{{{f:id|size}}}} after a word of direction.
- Every claim cites at least one fact by placeholder and is one sentence under 300 characters.
- Words of direction (rose, fell, above, below) stand in the same clause as a change they fit.
- Spans are written 24-hour, 7-day, 30-day, 90-day, 365-day and fit the fact.
- A placeholder brings its unit: write no unit, currency or per cent sign after it.
- No advice, no prediction, no causes, no names that are not in the facts, no links or markup.
- Four to ten claims, the weightiest first, about different chapters: {chapters}."""
REPAIR = "Some claims broke rules. Answer again with the whole JSON, these claims mended or left out:\n"


def messages(analysis: Analysis, language: str) -> list[dict[str, str]]:
    text = words(language)
    rows = [
        {
            "id": fact.id,
            "label": text["facts"].get(fact.id, fact.id),
            "value": figures.write(fact.value, fact.unit, language),
        }
        for fact in analysis.facts
        # The mechanism is the one text a provider gives; figures and flags cannot carry instructions.
        if fact.value is not None and not isinstance(fact.value, str)
    ]
    spoken = {"en": "English", "zh": "Simplified Chinese"}[language]
    known = {
        "class": analysis.subject["class"],
        "period_days": analysis.subject["days"],
        "findings": [{"what": text["alarms"][alarm["id"]], "severity": alarm["severity"]} for alarm in analysis.alarms],
        "facts": rows,
    }
    return [
        {
            "role": "system",
            "content": SYSTEM.format(language=spoken, chapters=", ".join(analysis.chapters)),
        },
        {"role": "user", "content": msgspec.json.encode(known).decode()},
    ]


def repair(asked: list[dict[str, str]], answer: str, faults: list[tuple[Claim, list[str]]]) -> list[dict[str, str]]:
    listed = "\n".join(f"- {claim.text}: {'; '.join(why)}" for claim, why in faults)
    return [*asked, {"role": "assistant", "content": answer}, {"role": "user", "content": REPAIR + listed}]


def read(answer: str, chapters: list[str]) -> list[Claim]:
    """The claims of an answer; anything that is not the agreed shape is no claim."""
    try:
        decoded: Any = msgspec.json.decode(FENCE.sub("", answer.strip()).encode())
    except (msgspec.DecodeError, RecursionError):
        return []
    rows = decoded.get("claims") if isinstance(decoded, dict) else None
    found = []
    for row in rows[:MOST_CLAIMS] if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("text"), str):
            chapter = row.get("chapter")
            stance = row.get("stance")
            found.append(
                Claim(
                    chapter if chapter in chapters else "market",
                    " ".join(row["text"].split()),
                    stance if isinstance(stance, str) else "neutral",
                )
            )
    return found
