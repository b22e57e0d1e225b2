"""What the token page shows, in reading order: every value looked up, worded and formatted, nothing computed."""

from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from services.reports import attribution, figures
from services.reports.charts.bars import grouped
from services.reports.charts.draw import draw
from services.reports.charts.scale import date_text, day
from services.reports.charts.svg import fixed
from services.reports.facts import Analysis, Fact
from services.reports.insight.claims import Insight, by_id, pieces
from services.reports.layout import KEY_NUMBERS, OWN_FACTS
from services.reports.words import words

DROPPED = ("no_protocol",)


def series_names(analysis: Analysis) -> dict[str, str]:
    """What the lines of a chart are called: the token by its symbol, where it has one."""
    named: dict[str, str] = dict(words(analysis.subject["language"])["series"])
    symbol = analysis.subject["symbol"]
    return named | {"token": symbol} if symbol else named


class Page:
    """The template's values for one report in one language."""

    def __init__(self, analysis: Analysis, insight: Insight, *, for_print: bool) -> None:
        self._a = analysis
        self._insight = insight
        self._language = analysis.subject["language"]
        self._w = words(self._language)
        self._facts = by_id(analysis.facts)
        self._print = for_print
        self._series = series_names(analysis)

    def values(self) -> dict[str, Any]:
        subject, w = self._a.subject, self._w
        stamp = datetime.fromtimestamp(subject["as_of_ms"] / 1000, UTC)
        return {
            "lang": {"en": "en", "zh": "zh-CN"}[self._language],
            "w": w,
            "subject": subject,
            "as_of": stamp.strftime("%Y-%m-%d %H:%M UTC"),
            "window": self._window(),
            "quality": self._a.quality,
            "scores": self._a.scores,
            "warnings": self._warnings(),
            "claims": [{"stance": claim.stance, "pieces": self._linked(claim.text)} for claim in self._insight.claims],
            "insight_note": self._insight_note(),
            "key_numbers": self._key_numbers(),
            "chapters": [self._chapter(name) for name in self._a.chapters if self._worth(name)],
            "alarms": [
                {**alarm, "by": ", ".join(dict.fromkeys(map(self._source, alarm["sources"])))}
                for alarm in self._a.alarms
            ],
            "quality_note": self._quality_note(),
            "no_alarms": w["page"]["no_alarms" if self._value("checks_known") else "no_checks"],
            "disagreements": [self._disagreement(row) for row in self._a.disagreements],
            "changed_elsewhere": [self._changed(row) for row in self._a.quality["changed_elsewhere"]],
            "sources": [self._source_row(row) for row in self._a.sources],
            "formulas": [
                {"label": self._label(f.id), "formula": f.formula, "source": self._source(f.source)}
                for f in self._a.facts
                if f.formula
            ],
        }

    def _linked(self, text: str) -> list[tuple[str, str | None]]:
        """A claim in pieces; a figure links to its row where the page has one."""
        rows = {
            fact
            for chapter in self._a.chapters
            if self._worth(chapter)
            for fact in OWN_FACTS[chapter].split()
            if fact in self._facts
        }
        shown = pieces(text, self._facts, self._language)
        return [(piece, fact if fact in rows else None) for piece, fact in shown]

    def _value(self, name: str) -> Any:
        fact = self._facts.get(name)
        return fact.value if fact else None

    def _label(self, name: str) -> str:
        return str(self._w["facts"].get(name, name))

    def _text(self, value: Any, unit: str) -> str:
        return figures.write(value, unit, self._language)

    def _source(self, name: str) -> str:
        """In a sample every source is the sample; naming a provider would lend it figures it never gave."""
        if self._a.subject["sample"]:
            return str(self._w["page"]["synthetic"])
        return attribution.title(name)

    def _window(self) -> str:
        subject = self._a.subject
        if subject["first_day"] is None:
            return str(self._w["page"]["days"].format(days=subject["days"]))
        first, last = (date_text(subject[key], self._language, year=True) for key in ("first_day", "last_day"))
        return f"{first} – {last}"

    def _warnings(self) -> list[str]:
        found = []
        for row in self._a.sources:
            part = row["status"] == "ok" and row["reason"]
            if part or row["status"] in ("failed", "skipped"):
                status = self._w["status"]["part" if part else row["status"]]
                reason = f" ({self._reason(row['reason'])})" if row["reason"] else ""
                found.append(f"{self._source(row['name'])}: {status}{reason}")
        for row in self._a.quality["late"]:
            stamp = f"{row['as_of'][:16].replace('T', ' ')} UTC"
            found.append(f"{self._source(row['source'])}: {self._w['page']['late'].format(as_of=stamp)}")
        return found

    def _reason(self, code: str | None) -> str:
        """A source's reason in words; the codes are ours, so nothing foreign is in it."""
        said = code or ""
        for part, word in self._w["codes"].items():
            said = said.replace(part, word)
        return said

    def _insight_note(self) -> str:
        page = self._w["page"]
        if self._insight.by != "model":
            return str(page["insight_template"])
        return str(
            page["insight_model"].format(model=self._insight.model, kept=self._insight.kept, made=self._insight.made)
        )

    def _quality_note(self) -> str:
        quality = self._a.quality
        shares = {name: self._text(quality[name], "percent") for name in ("facts_known", "sources_answered")}
        return str(self._w["page"]["quality_note"].format(**{**quality, **shares}))

    def _key_numbers(self) -> list[dict[str, Any]]:
        chosen = KEY_NUMBERS.get(self._a.subject["class"], KEY_NUMBERS["general"])
        return [self._fact_row(self._facts[name]) for name in chosen if name in self._facts]

    def _fact_row(self, fact: Fact) -> dict[str, Any]:
        text = self._text(fact.value, fact.unit)
        missing = self._w["reasons"].get(fact.reason, fact.reason) if fact.value is None else None
        return {
            "id": fact.id,
            "label": self._label(fact.id),
            "text": text,
            "missing": missing,
            "down": _falls(text, fact.unit),
        }

    def _worth(self, chapter: str) -> bool:
        """A chapter that cannot apply (no protocol) is left out; one whose source failed says so."""
        facts = [self._facts[name] for name in OWN_FACTS[chapter].split() if name in self._facts]
        return chapter == "security" or any(fact.reason not in DROPPED for fact in facts)

    def _chapter(self, name: str) -> dict[str, Any]:
        facts = [self._facts[fact] for fact in OWN_FACTS[name].split() if fact in self._facts]
        told = list(dict.fromkeys(self._source(fact.source) for fact in facts if fact.value is not None))
        return {
            "id": name,
            "title": self._w["chapters"][name],
            "facts": [self._fact_row(fact) for fact in facts],
            "charts": [self._chart(spec) for spec in self._a.charts if spec["chapter"] == name],
            "tables": [self._table(table) for table in self._a.tables if table["chapter"] == name],
            "source": self._w["page"]["source_line"].format(source=", ".join(told)) if told else "",
        }

    def _chart(self, spec: dict[str, Any]) -> dict[str, Any]:
        title, subtitle = self._w["charts"][spec["id"]]
        label = self._spoken(spec, title)
        drawn = {
            size: draw(spec, self._series, self._language, narrow=size == "narrow", label=label)
            for size in (("wide",) if self._print else ("wide", "narrow"))
        }
        if self._print:
            drawn = {size: fixed(svg) for size, svg in drawn.items()}
        head, rows = ([], []) if self._print else self._data(spec)
        # Safe: the canvas escapes every text it is given.
        marked = {size: Markup(svg) for size, svg in drawn.items()}  # noqa: S704 -- drawn by our canvas
        return {"id": spec["id"], "title": title, "subtitle": subtitle, "head": head, "rows": rows, **marked}

    def _spoken(self, spec: dict[str, Any], title: str) -> str:
        if spec["kind"] in ("ranks", "columns"):
            name, value = max(spec["rows"], key=lambda row: row[1])
            return str(self._w["page"]["in_ranks"].format(name=title, top=name, value=self._text(value, spec["unit"])))
        values = [value for value in spec["series"][0]["values"] if value is not None]
        first, last = (date_text(spec["days"][at], self._language, year=True) for at in (0, -1))
        told = {
            "start": values[0],
            "end": values[-1],
            "low": min(values),
            "high": max(values),
        }
        said = {key: self._text(value, spec["unit"]) for key, value in told.items()}
        return str(self._w["page"]["in_words"].format(name=title, first=first, last=last, **said))

    def _data(self, spec: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
        """The table behind a chart; long series by the week, the full one is in the JSON."""
        w = self._w
        if spec["kind"] in ("ranks", "columns"):
            rows = [[str(name), self._text(value, spec["unit"])] for name, value in spec["rows"]]
            return [w["page"]["measure"], w["page"]["value"]], rows
        names = [self._series.get(one["name"], self._label(one["name"])) for one in spec["series"]]
        head = [w["page"]["date"], *(names if len(names) > 1 else [w["page"]["value"]])]
        if spec["kind"] == "bars":
            pairs = grouped(spec["days"], spec["series"][0]["values"])
            return head, [[day(on).isoformat(), self._text(value, spec["unit"])] for on, value in pairs]
        step = 1 if len(spec["days"]) <= 60 else 7
        chosen = list(range(len(spec["days"]) - 1, -1, -step))
        return head, [
            [day(spec["days"][at]).isoformat()]
            + [self._text(one["values"][at], spec["unit"]) for one in spec["series"]]
            for at in chosen
        ]

    def _table(self, table: dict[str, Any]) -> dict[str, Any]:
        units = [unit for _, unit in table["columns"]]
        rows = [[self._cell(value, unit) for value, unit in zip(row, units, strict=True)] for row in table["rows"]]
        return {
            "id": table["id"],
            "title": self._w["tables"][table["id"]],
            "head": [{"text": self._w["columns"][name], "n": unit != "date"} for name, unit in table["columns"]],
            "rows": rows,
        }

    def _cell(self, value: Any, unit: str) -> dict[str, Any]:
        if unit == "date":
            text = self._w["page"]["recovered_not"] if value is None else date_text(value, self._language, year=True)
            return {"text": text, "n": False, "down": False}
        text = self._text(value, unit)
        return {"text": text, "n": True, "down": _falls(text, unit)}

    def _disagreement(self, row: dict[str, Any]) -> dict[str, Any]:
        page = self._w["page"]
        named = attribution.title
        return {
            "quantity": self._w["quantities"][row["quantity"]],
            "told": [(named(source), self._text(value, row["unit"])) for source, value in row["values"]],
            "spread": self._text(row["spread"], "percent"),
            "agree": row["agree"],
            "verdict": page["agree" if row["agree"] else "differ"],
            "used": page["worst"] if row["used"] == "worst" else named(row["used"]) if row["used"] else figures.MISSING,
        }

    def _changed(self, row: dict[str, Any]) -> str:
        line: str = self._w["page"]["changed_elsewhere"]
        return line.format(
            fact=self._label(row["fact"]).lower(),
            theirs=self._text(row["theirs"], "change"),
            ours=self._text(row["ours"], "change"),
        )

    def _source_row(self, row: dict[str, Any]) -> dict[str, Any]:
        provider = attribution.PROVIDERS.get(row["name"])
        shown = provider is not None and not self._a.subject["sample"] and row["status"] == "ok"
        sample = f" ({self._w['page']['synthetic']})" if self._a.subject["sample"] else ""
        return {
            "title": attribution.title(row["name"]) + sample,
            "attribution": provider.text if provider and shown else "",
            "link": provider.link if provider and shown else "",
            "status": self._w["status"][row["status"]],
            "reason": self._reason(row["reason"]),
            "as_of": f"{row['as_of'][:16].replace('T', ' ')} UTC" if row["as_of"] else figures.MISSING,
        }


def _falls(text: str, unit: str) -> bool:
    """As written: what rounds to nothing has no direction."""
    return unit == "change" and text.startswith("−")
