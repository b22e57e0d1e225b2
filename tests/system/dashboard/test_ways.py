"""Addresses and keys: filters live in the address, and everything can be reached without a mouse."""

from playwright.sync_api import expect


def test_filters_live_in_the_address_and_survive_a_reload(fake, visits, settle):
    page = visits.open(fake.page)
    page.get_by_role("button", name="30 days").click()
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Filter by").select_option("user")
    page.get_by_label("Filter value").fill("liu.yang")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".chip")).to_have_text("User liu.yang")
    assert page.url.endswith("#/overview?days=30&user=liu.yang")
    page.reload()
    settle(page)
    expect(page.locator(".chip")).to_have_text("User liu.yang")
    expect(page.get_by_role("button", name="30 days")).to_have_attribute("aria-pressed", "true")
    assert "/api/ai_usage/dashboard?days=30&user=liu.yang" in fake.asked[-1] or any(
        one.endswith("dashboard?days=30&user=liu.yang") for one in fake.asked
    )
    page.locator(".chip").click()
    expect(page.locator(".chip")).to_have_count(0)


def test_a_question_in_explore_is_an_address(fake, visits, settle):
    page = visits.open(f"{fake.page}#/explore")
    page.get_by_label("Measure").select_option("calls")
    page.get_by_label("Grouped by").select_option("function")
    expect(page.locator("[data-panel=explore] h2")).to_have_text("Calls")
    page.reload()
    settle(page)
    expect(page.get_by_label("Grouped by")).to_have_value("function")
    asked = next(one for one in reversed(fake.asked) if "/explore?" in one)
    assert "measure=calls" in asked
    assert "by=function" in asked


def test_the_back_button_goes_back(fake, visits):
    page = visits.open(fake.page)
    page.get_by_role("link", name="Prices", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Prices")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_the_first_stop_of_the_keyboard_skips_to_the_content(fake, visits):
    page = visits.open(fake.page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Today"


def test_a_new_screen_takes_the_focus_to_its_heading(fake, visits):
    page = visits.open(fake.page)
    page.get_by_role("link", name="Data health").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Data health")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    assert page.locator("#announce").inner_text() == "Data health"


def test_a_chart_opens_its_table_by_keyboard(fake, visits):
    page = visits.open(fake.page)
    toggle = page.get_by_role("button", name="Table: When calls come")
    toggle.focus()
    page.keyboard.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    expect(page.locator("[data-panel=heatmap] tbody tr")).to_have_count(7)
    page.keyboard.press("Enter")
    expect(page.locator("[data-panel=heatmap] .heat")).to_be_visible()


def test_a_chart_says_in_words_what_it_shows(fake, visits):
    page = visits.open(fake.page)
    for name in ("spend", "heatmap", "latency"):
        sentence = page.locator(f"[data-panel={name}] .summary").inner_text()
        assert len(sentence) > 20
        assert page.locator(f"[data-panel={name}] [role=img]").get_attribute("aria-label") == sentence
