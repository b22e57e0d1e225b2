"""The words the checker listens for, per language: direction, comparison, level, cause, advice, number."""

import re
from dataclasses import dataclass

Rule = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Patterns over lower-case text with the placeholders taken out."""

    up: re.Pattern[str]
    down: re.Pattern[str]
    more: re.Pattern[str]
    less: re.Pattern[str]
    numbers: re.Pattern[str]
    advice: re.Pattern[str]
    causes: re.Pattern[str]
    superlatives: re.Pattern[str]
    units: re.Pattern[str]
    spans: re.Pattern[str]
    allowed: re.Pattern[str]
    levels: tuple[tuple[re.Pattern[str], tuple[Rule, ...]], ...]


def _any(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words.split())})\b")


def _of(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_DEEP: tuple[Rule, ...] = (("pool_depth", ">=", 2e6), ("impact_100k", "<=", 0.05), ("impact_10k", "<=", 0.01))
_THIN: tuple[Rule, ...] = (("pool_depth", "<", 2e6), ("impact_100k", ">", 0.05), ("impact_10k", ">", 0.01))
_WILD: tuple[Rule, ...] = (
    ("vol_30d", ">=", 0.6),
    ("vol_90d", ">=", 0.6),
    ("peg_p95", ">=", 50),
    ("peg_worst", ">=", 100),
)
_CALM: tuple[Rule, ...] = (
    ("vol_30d", "<", 0.6),
    ("vol_90d", "<", 0.6),
    ("peg_p95", "<", 50),
    ("peg_mean", "<", 25),
    ("peg_now", "<", 25),
)
_TIGHT: tuple[Rule, ...] = (("top_10", ">=", 0.4), ("top_10_adjusted", ">=", 0.4), ("venue_hhi", ">=", 0.4))
_SPREAD: tuple[Rule, ...] = (("top_10", "<", 0.4), ("top_10_adjusted", "<", 0.4), ("venue_hhi", "<", 0.4))
_CLOSE: tuple[Rule, ...] = tuple((f"corr_{name}_{span}d", ">=", 0.5) for name in ("btc", "eth") for span in (30, 90))
_LOOSE: tuple[Rule, ...] = tuple((f"corr_{name}_{span}d", "<", 0.5) for name in ("btc", "eth") for span in (30, 90))

ENGLISH = Vocabulary(
    up=_any(
        "rose risen rise rises rising gained gains gain climbed up increased grew grown growing advanced above expanded"
    ),
    down=_any(
        "fell fallen fall falls falling lost declined decline dropped drop decreased shrank shrunk shrinking down "
        "below slid retreated contracted"
    ),
    more=_of(r"\b(?:higher|more|greater|larger) than\b|\bexceed(?:s|ed)?\b"),
    less=_of(r"\b(?:lower|less|smaller|fewer) than\b"),
    numbers=_any(
        "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty seventy eighty "
        "ninety hundred thousand million billion trillion half third quarter double doubled triple tripled twice "
        "tenfold dozen zero percent"
    ),
    advice=_any(
        "buy sell invest should must recommend recommended advise advised guarantee guaranteed promise promises "
        "will expect expected forecast predict predicted undervalued overvalued cheap bargain opportunity safe"
    ),
    causes=_of(r"\b(?:because|due to|causes?d?|driven by|led to|leads to|thanks to|as a result|owing to|triggered)\b"),
    superlatives=_any(
        "highest lowest largest smallest biggest best worst most least strongest weakest deepest longest"
    ),
    units=_of("\x03\\s*(?:percent|per cent|percentage|dollars?|usd|bps|basis points?|days?|tokens)\\b"),
    spans=_of(r"\b(24|7|30|90|365)-(?:hour|day)\b"),
    allowed=_of(r"\b(?:24-hour|(?:7|30|90|365)-day)\b|\bone dollar\b"),
    levels=(
        (_any("deep liquid"), _DEEP),
        (_any("thin shallow illiquid"), _THIN),
        (_any("volatile turbulent wild"), _WILD),
        (_any("calm steady tight tightly"), _CALM),
        (_any("concentrated"), _TIGHT),
        (_of(r"\b(?:dispersed|widely held|spread out)\b"), _SPREAD),
        (_of(r"\b(?:closely|in step)\b"), _CLOSE),
        (_any("loosely independently"), _LOOSE),
    ),
)
CHINESE = Vocabulary(
    up=_of("上涨|上升|增长|增加|高于|攀升|走高|扩大"),
    down=_of("下跌|下降|减少|低于|回落|走低|缩减|缩小"),
    more=_of("大于|多于|超过"),
    less=_of("小于|少于|不及"),
    numbers=_of(
        "[二三四五六七八九十百千万亿两]+(?=成|倍|天|日|周|月|年|个|点|美元|枚|家|人|条)|百分之|[万亿]|翻倍|翻番|一半"
    ),
    advice=_of(
        "(?:可以|适合|值得|宜|立即)(?:买入|卖出|投资)|应该|应当|建议|推荐|保证|承诺|预计|预期|将会|必将|低估|高估|便宜|安全的"
    ),
    causes=_of("因为|由于|导致|源于|得益于|受.{0,6}影响|推动|引发"),
    superlatives=_of("最[高低大小多少强弱深长好差]"),
    units=_of("\x03\\s*(?:百分|美元|基点|天|枚)"),
    spans=_of("(24|7|30|90|365) ?(?:小时|天|日)"),
    allowed=_of("(?:24 ?小时|(?:7|30|90|365) ?[天日])|一美元"),
    levels=(
        (_of("深厚|充裕"), _DEEP),
        (_of("浅薄|稀薄"), _THIN),
        (_of("剧烈|动荡"), _WILD),
        (_of("平稳|稳固|紧贴"), _CALM),
        (_of("集中(?!度)"), _TIGHT),
        (_of("分散"), _SPREAD),
        (_of("紧密"), _CLOSE),
        (_of("松散"), _LOOSE),
    ),
)
VOCABULARIES = {"en": ENGLISH, "zh": CHINESE}
