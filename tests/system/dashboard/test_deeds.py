"""What can be done from the page: keys, prices, jobs, a chat."""

import json

from playwright.sync_api import expect


def test_a_key_is_created_shown_once_changed_and_revoked(fake, visits):
    page = visits.open(f"{fake.page}#/keys")
    page.get_by_role("button", name="Create key").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name").fill("night shift")
    form.get_by_label("Models").fill("qwen-*, gpt-4o")
    form.get_by_label("Budget per day (CNY)").fill("12.5")
    form.get_by_role("button", name="Create key").click()
    expect(page.locator(".once code")).to_have_text("tw-generated-for-this-answer-only")
    assert fake.written[-1] == (
        "POST /admin/keys",
        {"name": "night shift", "models": ["qwen-*", "gpt-4o"], "budget_per_day": 12.5},
    )

    page.get_by_role("button", name="Edit night shift").click()
    form.get_by_label("Budget per day (CNY)").fill("")
    form.get_by_label("Requests per minute").fill("30")
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    assert fake.written[-1] == ("PATCH /admin/keys/key_04", {"requests_per_minute": 30, "budget_per_day": None})

    page.get_by_role("button", name="Revoke night shift").click()
    form.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="night shift")).to_have_count(0)
    assert fake.written[-1][0] == "DELETE /admin/keys/key_04"


def test_a_key_with_a_budget_says_what_is_spent_of_it(fake, visits):
    page = visits.open(f"{fake.page}#/keys")
    expect(page.get_by_role("row", name="studio")).to_contain_text("¥1,312.000000007 / ¥1,500")
    expect(page.get_by_role("row", name="batch")).to_contain_text("60 requests")


def test_a_refused_change_keeps_the_dialog_and_says_why(fake, visits):
    visits.expected.append("Failed to load resource")
    page = visits.open(f"{fake.page}#/keys")
    fake.failing["/admin/keys/key_02studio"] = 422
    page.get_by_role("button", name="Edit studio").click()
    page.get_by_role("dialog").get_by_label("Owner").fill("ops")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("asked to fail")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_price_is_added_and_a_period_priced_again_dry_first(fake, visits):
    page = visits.open(f"{fake.page}#/prices")
    page.get_by_role("button", name="Set a price: qwen-next-preview").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Input").fill("0.0004")
    form.get_by_label("Output").fill("0.002")
    form.get_by_role("button", name="Add price").click()
    expect(form).to_have_count(0)
    assert fake.written[-1] == (
        "POST /api/ai_usage/prices",
        {"model": "qwen-next-preview", "provider": "dashscope", "currency": "CNY", "input": 0.0004, "output": 0.002},
    )

    again = page.locator("[data-panel=reprice]")
    again.get_by_label("From").fill("2026-11-01")
    again.get_by_label("To").fill("2026-11-21")
    again.get_by_role("button", name="Dry run").click()
    expect(again).to_contain_text("31 of 31 events would change:")
    assert fake.written[-1][1] == {"from": "2026-11-01", "to": "2026-11-21", "dry_run": True}
    again.get_by_role("button", name="Book the corrections").click()
    expect(again).to_contain_text("31 of 31 events were corrected:")
    assert fake.written[-1][1]["dry_run"] is False


def test_a_report_is_queued_and_its_artefact_downloaded(fake, visits):
    page = visits.open(f"{fake.page}#/reports")
    page.get_by_role("button", name="New report").click()
    page.get_by_role("dialog").get_by_role("button", name="Queue it").click()
    expect(page.locator("[data-job=job_03]")).to_be_visible()
    sent = fake.written[-1][1]
    assert (sent["type"], sent["token"], sent["sample"], sent["formats"]) == ("token", "usd-coin", True, ["html"])
    with page.expect_download() as waiting:
        page.locator("[data-job=job_01]").get_by_role("button", name="Download HTML").click()
    assert "<title>report</title>" in waiting.value.path().read_text()


def test_a_usage_report_is_asked_for_by_its_first_and_last_day(fake, visits):
    page = visits.open(f"{fake.page}#/reports")
    page.get_by_role("button", name="New report").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Usage", exact=True).click()
    dialog.get_by_label("From").fill("2026-10-01")
    dialog.get_by_label("To").fill("2026-10-31")
    dialog.get_by_role("button", name="Queue it").click()
    expect(dialog).to_be_hidden()
    sent = fake.written[-1][1]
    assert (sent["type"], sent["from"], sent["to"], sent.get("days")) == ("usage", "2026-10-01", "2026-10-31", None)


def test_a_chat_streams_and_its_receipt_names_tokens_cost_route_and_tools(fake, visits, axe, picture):
    page = visits.open(f"{fake.page}#/playground")
    page.get_by_label("Model").select_option("gpt-4o")
    page.get_by_label("time__get_current_time").check()
    page.get_by_label("Your message").fill("What time is it?")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".turn.assistant .said")).to_have_text("Tollway carries every word.")
    receipt = page.locator(".receipt")
    for part in ("12 in, 4 out", "openai/gpt-4o", "Attempts 2", "time__get_current_time", "¥0.031234567"):
        expect(receipt).to_contain_text(part)
    sent = fake.written[-1][1]
    assert sent["tollway"]["tools"] == ["time__get_current_time"]
    assert sent["stream_options"] == {"include_usage": True}
    assert axe(page) == []
    picture(page, "playground-answer")
    page.get_by_role("button", name="Show as curl").click()
    assert json.dumps("gpt-4o") in page.locator(".command code").inner_text()


def test_the_rollups_can_be_proved_from_the_page(fake, visits):
    page = visits.open(f"{fake.page}#/health")
    page.get_by_role("button", name="Prove now").click()
    expect(page.locator(".toast")).to_have_text("Proved: rollups equal events.")
