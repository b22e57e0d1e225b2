"""Nothing booked, nobody signed in, nothing answers, numbers grown old, surfaces that live elsewhere."""

from playwright.sync_api import expect

REFUSED = r"Failed to load resource"


def test_with_nothing_booked_a_newcomer_is_told_the_first_curl(fake, visits, axe, picture):
    fake.empty = True
    page = visits.open(fake.page)
    expect(page.get_by_role("heading", name="Nothing is booked yet")).to_be_visible()
    assert f"curl {fake.url}/v1/chat/completions" in page.locator(".command code").inner_text()
    assert axe(page) == []
    picture(page, "empty")


def test_when_the_first_call_is_booked_the_page_fills_by_itself(fake, visits):
    fake.empty = True
    page = visits.open(fake.page)
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    fake.empty = False
    for _ in range(200):
        if fake.listening():
            break
        page.wait_for_timeout(20)
    fake.push(0.5)
    expect(page.locator("[data-card=calls]")).to_be_visible()


def test_a_token_is_asked_for_tried_and_kept_out_of_addresses(fake, visits, axe, picture, settle):
    fake.token = "secret-of-the-house"
    page = visits.open(f"{fake.page}#/overview?days=30")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert axe(page) == []
    picture(page, "sign-in")
    page.get_by_label("Token").fill("wrong")
    page.get_by_label("Token").press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This token was not accepted.")
    page.get_by_label("Token").fill(fake.token)
    page.get_by_label("Token").press("Enter")
    expect(page.locator("[data-card=calls]")).to_be_visible()
    assert page.url.endswith("#/overview?days=30")

    page.reload()
    settle(page)
    expect(page.locator("[data-card=calls]")).to_be_visible()
    assert not [one for one in [page.url, *visits.addresses] if fake.token in one]
    assert page.evaluate("localStorage.getItem('tollway.token')") is None

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_token_that_is_not_remembered_is_gone_after_a_reload(fake, visits):
    fake.token = "secret-of-the-house"
    page = visits.open(fake.page)
    page.get_by_label("Remember in this tab").uncheck()
    page.get_by_label("Token").fill(fake.token)
    page.get_by_label("Token").press("Enter")
    expect(page.locator("[data-card=calls]")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_refusal_is_said_in_chinese_and_what_is_not_known_keeps_its_words(fake, visits):
    visits.expected.append(REFUSED)
    fake.failing["/api/ai_usage/dashboard"] = 503
    fake.refusal = "The database cannot be reached right now."
    page = visits.open(fake.page, locale="zh-CN")
    expect(page.get_by_role("alert")).to_contain_text("数据库暂时无法访问。")
    fake.refusal = "The ledger is being moved."
    page.get_by_role("button", name="重试").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "Tollway 的某个部分暂时无法访问，请重试（The ledger is being moved.）"
    )


def test_a_failure_is_said_and_can_be_tried_again(fake, visits):
    visits.expected.append(REFUSED)
    fake.failing["/api/ai_usage/dashboard"] = 503
    page = visits.open(fake.page)
    expect(page.get_by_role("alert")).to_contain_text("asked to fail")
    fake.failing.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("[data-card=calls]")).to_be_visible()


def test_numbers_grown_old_stay_and_are_called_old(fake, visits):
    visits.expected.append(REFUSED)
    page = visits.open(fake.page)
    fake.failing["/api/ai_usage/dashboard"] = 500
    page.get_by_role("button", name="30 days").click()
    expect(page.locator(".stale")).to_contain_text("These numbers are from 2026-11-21 19:20:11")
    expect(page.locator("[data-card=calls]")).to_be_visible()
    fake.failing.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".stale")).to_be_hidden()


def test_a_combination_without_an_answer_says_why(fake, visits):
    visits.expected.append(REFUSED)
    fake.failing["/api/ai_usage/explore"] = 422
    page = visits.open(f"{fake.page}#/explore?by=user&model=gpt-4o")
    expect(page.locator(".notice")).to_contain_text("asked to fail")


def test_on_the_usage_service_itself_the_gateways_parts_are_called_elsewhere(fake, visits):
    visits.expected.append(REFUSED)
    fake.gateway = False
    page = visits.open(fake.page)
    expect(page.locator("[data-panel=router]")).to_contain_text("This part lives on the gateway")
    expect(page.locator("[data-card=calls]")).to_be_visible()
    for screen in ("keys", "reports", "playground"):
        page.goto(f"{fake.page}#/{screen}")
        expect(page.locator("main")).to_contain_text("This part lives on the gateway")


def test_a_reader_without_the_admin_token_is_told_what_is_missing(fake, visits):
    visits.expected.append(REFUSED)
    fake.failing["/admin/keys"] = 403
    fake.failing["/admin/router"] = 403
    page = visits.open(f"{fake.page}#/keys")
    expect(page.locator("[data-panel=keys]")).to_contain_text("Keys need the admin token")
    page.goto(fake.page)
    expect(page.locator("[data-panel=router]")).to_contain_text("needs the admin token")


def test_a_question_that_the_network_cut_is_asked_once_more(fake, visits):
    visits.expected.append("net::ERR_FAILED")
    page = visits.open(fake.page)
    cut = []

    def once(route):
        cut.append(route.request.url)
        route.abort() if len(cut) == 1 else route.continue_()

    page.route("**/api/ai_usage/prices", once)
    page.get_by_role("link", name="Prices", exact=True).click()
    expect(page.get_by_role("rowheader", name="qwen-plus")).to_be_visible()
    assert len(cut) == 2


def test_when_the_service_is_back_the_page_recovers_by_itself(fake, visits):
    visits.expected.append(REFUSED)
    fake.failing["/api/ai_usage/prices"] = 503
    page = visits.open(f"{fake.page}#/prices")
    expect(page.get_by_role("alert")).to_contain_text("asked to fail")
    fake.failing.clear()
    fake.hang_up()
    expect(page.get_by_role("rowheader", name="qwen-plus")).to_be_visible()
