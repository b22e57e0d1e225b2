"""The API document as a page: every door once, nothing from elsewhere, nothing that a document could smuggle in."""

from services.gateway.docs_page import page

ASK = {
    "required": ["model"],
    "properties": {"model": {"type": "string"}, "extras": {"$ref": "#/components/schemas/Ask"}},
}
DOCUMENT = {
    "info": {"title": "Tollway", "version": "1", "description": "One gate.\n\nKeys travel as `x-api-key`."},
    "paths": {
        "/v1/ask": {"post": {"tags": ["openai"], "summary": "Ask", "security": [{"bearer": []}],
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ask"}}}},
            "responses": {"200": {"description": "The answer"}, "429": {"description": "Too many"}}}},
        "/api/v1/ask": {"post": {"tags": ["openai"], "summary": "Ask",
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ask"}}}}}},
        "/v1/reports/{id}": {"get": {"summary": "Read", "description": "One <job>.",
            "parameters": [{"name": "days", "schema": {"type": "integer", "default": 7}}], "responses": {}}},
    },
    "components": {"schemas": {"Ask": ASK}},
}  # fmt: skip


def test_every_door_is_there_once_with_its_fields_and_an_example() -> None:
    shown = page(DOCUMENT, "http://gate:8080")
    assert shown.count('class="post"') == 1
    assert "Also at <code>/api/v1/ask</code>" in shown
    assert '<code>model</code> <small class="needed">required</small>' in shown
    assert '<a href="#shape-Ask">Ask</a>' in shown
    assert "curl -X POST http://gate:8080/v1/ask" in shown
    assert "{&quot;model&quot;: &quot;auto&quot;}" in shown
    assert "integer = 7" in shown
    assert "<code>x-api-key</code>" in shown


def test_a_door_without_a_group_is_found_under_its_path() -> None:
    assert '<section id="reports"><h2>Report jobs</h2>' in page(DOCUMENT, "http://gate")


def test_words_and_origins_are_shown_as_text() -> None:
    shown = page(DOCUMENT, "http://<img>")
    assert "One &lt;job&gt;." in shown
    assert "<img>" not in shown
