"""Live numbers arrive without a reload, and after a cut the page goes on where it was."""

from playwright.sync_api import expect


def listening(fake, page):
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    for _ in range(200):
        if fake.listening():
            return
        page.wait_for_timeout(20)
    raise AssertionError("nobody listens")


def test_todays_spend_follows_the_live_stream(fake, visits):
    page = visits.open(fake.page)
    listening(fake, page)
    fake.push(77.000000001)
    expect(page.locator("[data-card=spend_today] .value")).to_have_text("¥77.000000001")


def test_after_a_cut_the_page_reconnects_and_names_the_last_event(fake, visits):
    page = visits.open(fake.page)
    listening(fake, page)
    fake.push(1.5)
    expect(page.locator("[data-card=spend_today] .value")).to_have_text("¥1.5")
    fake.hang_up()
    for _ in range(200):
        if fake.last_event_ids:
            break
        page.wait_for_timeout(20)
    assert fake.last_event_ids == ["1"]
    listening(fake, page)
    fake.push(2.5)
    expect(page.locator("[data-card=spend_today] .value")).to_have_text("¥2.5")


def test_a_screen_that_fails_at_a_message_does_not_cut_the_connection(fake, visits):
    visits.expected.append("on purpose")
    page = visits.open(fake.page)
    listening(fake, page)
    page.evaluate("import('./js/live.js').then((live) => live.listen(() => { throw new Error('on purpose'); }))")
    fake.push(1.5)
    fake.push(2.5)
    expect(page.locator("[data-card=spend_today] .value")).to_have_text("¥2.5")
    assert fake.last_event_ids == []


def test_a_live_refresh_leaves_the_focus_and_an_open_table_alone(fake, visits):
    page = visits.open(fake.page)
    listening(fake, page)
    page.get_by_role("button", name="Table: Spend by model").click()
    link = page.locator("[data-card=spend_today]")
    page.get_by_role("button", name="CSV: Spend by user").focus()
    fake.push(9.25)
    expect(link.locator(".value")).to_have_text("¥9.25")
    assert page.evaluate("document.activeElement.dataset.key") == "csv-by-user"
    assert page.locator("[data-panel=by-model] table").is_visible()


def test_a_job_in_progress_is_followed_to_its_end(fake, visits):
    page = visits.open(f"{fake.page}#/reports")
    expect(page.locator("[data-job=job_02]")).to_have_attribute("data-status", "succeeded")
    expect(page.locator("[data-job=job_02]").get_by_role("button", name="Download HTML")).to_be_visible()


def test_an_open_session_follows_what_is_booked(fake, visits):
    page = visits.open(f"{fake.page}#/session?id=sess-7f3a")
    listening(fake, page)
    asked = len([one for one in fake.asked if "/timeline" in one])
    fake.push(1.0)
    for _ in range(400):
        if len([one for one in fake.asked if "/timeline" in one]) > asked:
            return
        page.wait_for_timeout(20)
    raise AssertionError("the timeline was not asked for again")


def test_the_first_view_asks_for_its_numbers_once(fake, visits):
    page = visits.open(fake.page)
    listening(fake, page)
    page.wait_for_selector("[data-panel=latency] [data-drawn=yes]")
    assert len([one for one in fake.asked if "/dashboard?" in one]) == 1
