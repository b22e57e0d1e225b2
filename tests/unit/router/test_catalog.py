"""Which models there are, and which of them `auto` may take."""

from typing import Any

from services.router.catalog import Catalog, Listed
from shared.config.schema import Config

OPENAI = {"protocol": "openai", "base_url": "http://x/v1"}


def catalog(lists: dict[str, list[Listed]] | None = None, **sections: Any) -> Catalog:
    return Catalog(Config.model_validate(sections), lists or {})


def names(found: Catalog) -> list[str]:
    return [model.name for model in found]


def test_without_anything_there_is_the_demo_and_auto_takes_it() -> None:
    empty = catalog()
    assert names(empty) == ["demo"]
    assert [model.name for model in empty.for_auto] == ["demo"]
    assert names(catalog(demo=False)) == []


def test_auto_never_takes_the_demo_beside_another_model() -> None:
    found = catalog(providers={"o": OPENAI}, models={"m": {"targets": [{"provider": "o", "model": "x"}]}})
    assert names(found) == ["m", "demo"]
    assert [model.name for model in found.for_auto] == ["m"]


def test_a_provider_without_models_serves_its_list_and_one_with_models_does_not() -> None:
    lists = {"o": [Listed("gpt-x"), Listed("text-embedding-3-small")], "p": [Listed("other")]}
    found = catalog(
        lists, providers={"o": OPENAI, "p": OPENAI}, models={"m": {"targets": [{"provider": "p", "model": "x"}]}}
    )
    assert names(found) == ["m", "gpt-x", "text-embedding-3-small", "demo"]
    assert [model.name for model in found.for_auto] == ["m", "gpt-x"]


def test_a_list_is_served_beside_configured_models_when_the_file_says_so_and_never_when_it_says_no() -> None:
    lists = {"o": [Listed("gpt-x")], "p": [Listed("other")]}
    providers = {"o": {**OPENAI, "list_models": True}, "p": {**OPENAI, "list_models": False}}
    found = catalog(lists, providers=providers, models={"m": {"targets": [{"provider": "o", "model": "x"}]}})
    assert names(found) == ["m", "gpt-x", "demo"]


def test_a_name_is_passed_on_only_to_providers_whose_list_is_unknown() -> None:
    unread = catalog(providers={"o": OPENAI})
    passed = unread.passed_on("whatever")
    assert passed is not None
    assert passed.targets[0].key == "o/whatever"
    assert unread.for_auto == []
    assert catalog({"o": []}, providers={"o": OPENAI}).passed_on("whatever") is None


def test_a_configured_name_wins_over_a_listed_one() -> None:
    lists = {"o": [Listed("m")]}
    models = {"m": {"targets": [{"provider": "p", "model": "x"}]}}
    found = catalog(lists, providers={"o": OPENAI, "p": OPENAI}, models=models).get("m")
    assert found is not None
    assert found.targets[0].provider == "p"


def test_clients_see_names_and_protocols_only() -> None:
    models = {"m": {"targets": [{"provider": "o", "model": "x"}], "display_name": "My M"}}
    info = catalog(providers={"o": {**OPENAI, "api_key": "sk-1"}}, models=models).infos()[0]
    assert (info.id, info.display_name, info.protocols) == ("m", "My M", ["openai"])
