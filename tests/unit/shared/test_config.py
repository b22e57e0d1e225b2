"""The configuration: read, filled, refused with places, taken up while running."""

import pytest
from pydantic import ValidationError

from shared.config import Config, ConfigFault, LiveConfig, parse_config
from shared.settings import read_settings, settings_from


def faults(text, environ=None):
    with pytest.raises(ConfigFault) as caught:
        parse_config(text, environ or {})
    return [str(fault) for fault in caught.value.faults]


def test_an_empty_file_is_the_defaults():
    assert parse_config("", {}) == Config()
    assert parse_config("providers:\nmodels:\n", {}) == Config()


def test_variables_are_filled_from_the_environment():
    text = 'providers: {a: {base_url: "http://x/${P:-v1}", api_key: "${KEY}"}}'
    provider = parse_config(text, {"KEY": "k"}).providers["a"]
    assert (provider.base_url, provider.api_key) == ("http://x/v1", "k")


def test_a_variable_that_is_not_set_is_named_with_its_place():
    text = 'providers:\n  a:\n    base_url: http://x\n    api_key: "${KEY}"'
    assert faults(text) == ["line 4: providers.a.api_key: the variable KEY is not set"]


def test_every_fault_of_a_file_is_told_with_its_line():
    text = "providers:\n  b: {protocl: openai}\nrouting: {retries: -1}\nusage:\n  timezone: Mars/X\n"
    assert faults(text) == [
        "line 2: providers.b.protocl: extra inputs are not permitted",
        "line 3: routing.retries: input should be greater than or equal to 0",
        "line 5: usage.timezone: 'Mars/X' is not a time zone",
    ]


def test_names_that_nothing_defines_are_faults():
    text = "models:\n  m.1: {targets: [{provider: nobody, model: x}], fallbacks: [n]}"
    assert faults(text) == [
        "line 2: models.m.1.targets.0.provider: no provider 'nobody'",
        "line 2: models.m.1.fallbacks.0: no model 'n'",
    ]


@pytest.mark.parametrize(
    ("usage", "fault"),
    [
        ("alerts: [{name: a, limit: 1e10}]", "alerts.0.limit"),
        ("alerts: [{name: a, limit: .inf}]", "alerts.0.limit"),
        ("alerts: [{name: '', limit: 5}]", "alerts.0.name"),
        ("alerts: [{name: a, limit: 5, thresholds: [0]}]", "alerts.0.thresholds.0"),
        ("alerts: [{name: a, limit: 5, thresholds: [80]}]", "alerts.0.thresholds.0"),
        ("alerts: [{name: a, limit: 5, webhook: nonsense}]", "alerts.0.webhook"),
        ("alerts: [{name: a, limit: 5}, {name: a, limit: 6, by: user}]", "two alerts are called 'a'"),
        ("prices: {m: {input: -1, output: 1}}", "a price cannot be negative"),
        ("prices: {m: {input: .nan, output: 1}}", "not a finite number"),
        ("prices: {m: {input: 1e9, output: 1}}", "a price cannot be above"),
        ("prices: {m: {input: 1, output: 1, currency: EU1}}", "prices.m.currency"),
        ("rates: {USD: 0}", "a rate must be between"),
        ("rates: {DOLLAR: 7}", "rates.DOLLAR"),
        ("currency: 12!", "currency"),
    ],
)
def test_a_ledger_that_could_not_book_is_refused_when_it_is_read(usage, fault):
    (told,) = faults(f"usage:\n  {usage}")
    assert fault in told


def test_currencies_are_told_in_capitals():
    usage = parse_config("usage: {currency: cny, rates: {usd: 7}, prices: {m: {input: '0.1', output: 1}}}", {}).usage
    assert (usage.currency, usage.rates, usage.prices["m"].input) == ("CNY", {"USD": 7.0}, 0.1)


def test_what_is_given_twice_or_is_no_yaml_is_told():
    assert faults("demo: true\ndemo: false") == ["line 2: demo: is given twice"]
    assert "line 1" in faults("a: [")[0] or "line 2" in faults("a: [")[0]
    assert faults("- 1") == ["the file must be a mapping of sections"]


def test_the_seeds_variables_fill_what_the_file_leaves_unsaid():
    environ = {"OPENAI_API_KEY": "k", "REPLACE_CHAT": "/a, /b", "SESSION_TIMEOUT": "60", "CACHE_DURATION": "5"}
    config = parse_config("", environ)
    assert config.providers["openai"].keys == ("k",)
    assert config.chat_paths.replace == ("/a", "/b")
    assert config.sessions.ttl_seconds == 60
    assert config.routing.model_list_seconds == 5
    assert parse_config("sessions: {ttl_seconds: 7}", environ).sessions.ttl_seconds == 7
    degpt = parse_config("", {"DEGPT_AUTH_COOKIE": "c", "DEGPT_PROXY_USER_AGENT": "ua"}).providers["degpt"]
    assert degpt.headers == {"Cookie": "c", "User-Agent": "ua"}


def test_a_chat_path_that_answers_something_else_is_refused():
    assert faults("chat_paths: {append: [/admin/keys]}") == [
        "line 1: chat_paths.append: '/admin/keys' already answers something else"
    ]
    for path in ("/v1/reports/x", "/api/v1/messages", "/health", "/api/chat/stream"):
        assert faults(f"chat_paths: {{replace: [{path}]}}")
    paths = "chat_paths: {append: [/talk, /v2/chat/completions], prefix: [/mine]}"
    assert parse_config(paths, {}).chat_paths.append == ("/talk", "/v2/chat/completions")


def test_degpts_base_model_is_there_beside_the_models_it_lists():
    seed = {"DEGPT_BASE_URL": "https://d.test/api"}
    assert list(parse_config("", seed).models) == ["gpt-4o-mini"]
    assert list(parse_config("", {**seed, "DEGPT_BASE_MODEL": "qwen"}).models) == ["qwen"]
    assert parse_config("", seed).providers["degpt"].list_models is True
    assert not parse_config("", {**seed, "OPENAI_API_KEY": "k"}).models


def test_a_valid_change_is_taken_up_and_a_broken_one_is_refused(tmp_path):
    path = tmp_path / "tollway.yaml"
    path.write_text("demo: true")
    live = LiveConfig.open(settings_from({}, tmp_path))
    heard = []
    live.subscribe(heard.append)

    path.write_text("demo: false # changed")
    live.look()
    assert live.current.demo is False
    assert [config.demo for config in heard] == [False]

    path.write_text("demo: [")
    live.look()
    assert live.stale
    assert live.current.demo is False

    path.write_text("demo: true # mended")
    live.look()
    assert not live.stale
    assert live.current.demo is True


def test_a_change_of_the_dotenv_is_taken_up(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    live = LiveConfig.open(settings_from({}, tmp_path))
    (tmp_path / ".env").write_text("OPENAI_API_KEY=fresh")
    live.look()
    assert live.current.providers["openai"].api_key == "fresh"


def test_other_tokens_in_the_dotenv_are_told_to_those_who_compare_them(tmp_path, monkeypatch):
    monkeypatch.delenv("TOKEN", raising=False)
    (tmp_path / ".env").write_text("TOKEN=old")
    live = LiveConfig.open(read_settings(tmp_path))
    heard = []
    live.subscribe_tokens(lambda settings: heard.append(settings.token.get_secret_value()))

    (tmp_path / ".env").write_text("TOKEN=old\nREPLACE_CHAT=/talk")
    live.look()
    assert heard == []
    (tmp_path / ".env").write_text("TOKEN=new")
    live.look()
    assert heard == ["new"]


@pytest.mark.parametrize("dotenv", ["# no token any more", "TOKEN=t\nTOLLWAY_BUS_URL=kafka://x"])
def test_a_dotenv_that_would_open_the_door_or_makes_no_sense_is_refused(dotenv, tmp_path, monkeypatch):
    monkeypatch.delenv("TOKEN", raising=False)
    (tmp_path / ".env").write_text("TOKEN=t\nREPLACE_CHAT=/talk")
    live = LiveConfig.open(read_settings(tmp_path, host="0.0.0.0"))
    live.subscribe_tokens(lambda settings: pytest.fail(f"told of {settings.tokens}"))
    (tmp_path / ".env").write_text(dotenv)
    live.look()
    assert live.stale
    assert live.current.chat_paths.replace == ("/talk",)


def test_settings_have_the_seeds_names(tmp_path):
    settings = settings_from({"PORT": "1234", "DEBUG": "true", "TOKEN": "t", "REDIS_HOST": "r"}, tmp_path)
    assert (settings.port, settings.debug, settings.cache_url) == (1234, True, "redis://r:6379")
    assert settings.token is not None
    assert settings.token.get_secret_value() == "t"
    assert "t" not in str(settings.token)
    assert settings_from({"SESSION_STORAGE_TYPE": "memory", "REDIS_HOST": "r"}).cache_url == "memory://"
    assert settings_from({"TOLLWAY_PORT": "1", "PORT": "2"}).port == 1


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("TOLLWAY_DATABASE_URL", "mysql://x"),
        ("TOLLWAY_BUS_URL", "kafka://x"),
        ("TOLLWAY_CACHE_URL", "localhost:6379"),
        ("TOLLWAY_ROUTER_URL", "localhost:8081"),
    ],
)
def test_a_url_of_a_kind_we_cannot_use_is_refused_before_anything_starts(variable, url, tmp_path):
    with pytest.raises(ValidationError, match="must begin with"):
        settings_from({variable: url}, tmp_path)


def test_faults_between_sections_are_told_beside_those_within_one():
    text = "models:\n  m: {targets: [{provider: nobody, model: m}]}\nrouting: {strategy: fast}\n"
    with pytest.raises(ConfigFault) as caught:
        parse_config(text, {})
    assert [fault.place for fault in caught.value.faults] == ["routing.strategy", "models.m.targets.0.provider"]
