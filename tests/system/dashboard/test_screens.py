"""Every screen, in both themes and languages, wide and narrow: no error, no fault in accessibility, nothing cut off."""

import pytest
from playwright.sync_api import expect

SCREENS = {
    "overview": ("Overview", "总览"),
    "explore": ("Explore", "分析"),
    "session": ("Sessions", "会话"),
    "session?id=sess-7f3a": ("Sessions", "会话"),
    "prices": ("Prices", "价格"),
    "keys": ("Budgets & keys", "预算与密钥"),
    "reports": ("Report jobs", "报告任务"),
    "playground": ("Playground", "试验台"),
    "health": ("Data health", "数据健康"),
}


def named(screen: str) -> str:
    return screen.replace("?id=", "-")


@pytest.mark.parametrize(
    ("theme", "locale", "width"),
    [("light", "en-US", 1440), ("dark", "zh-CN", 1440), ("dark", "en-US", 375), ("light", "zh-CN", 375)],
)
def test_every_screen_is_accessible_and_fits(theme, locale, width, fake, visits, axe, picture, settle):
    page = visits.open(fake.page, width=width, color_scheme=theme, locale=locale)
    found = {}
    for screen, titles in SCREENS.items():
        page.goto(f"{fake.page}#/{screen}")
        expect(page.locator("h1")).to_have_text(titles[locale == "zh-CN"])
        settle(page)
        wide = page.evaluate("document.documentElement.scrollWidth") - width
        found[screen] = [*axe(page), *([f"{wide} px too wide"] if wide else [])]
        picture(page, f"{named(screen)}-{theme}-{locale}-{width}")
    assert {screen: faults for screen, faults in found.items() if faults} == {}


def test_the_menu_of_a_phone_opens_and_closes_with_the_choice(fake, visits):
    page = visits.open(fake.page, width=375)
    menu = page.get_by_role("button", name="Menu")
    expect(page.get_by_role("link", name="Data health")).to_be_hidden()
    menu.click()
    expect(menu).to_have_attribute("aria-expanded", "true")
    page.get_by_role("link", name="Data health").click()
    expect(page.locator("h1")).to_have_text("Data health")
    expect(menu).to_have_attribute("aria-expanded", "false")


def test_charts_are_drawn_and_redrawn_in_the_chosen_theme(fake, visits):
    page = visits.open(fake.page)
    page.wait_for_selector("[data-panel=spend] [data-drawn=yes] canvas")
    before = page.locator("[data-panel=spend] canvas").screenshot()
    page.get_by_role("button", name="Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.locator("[data-panel=spend] canvas").screenshot() != before


def test_the_theme_and_the_language_survive_a_reload(fake, visits, settle):
    page = visits.open(fake.page)
    page.get_by_role("button", name="Dark", exact=True).click()
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", level=1, name="总览").wait_for()
    page.reload()
    settle(page)
    assert page.locator("h1").inner_text() == "总览"
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_system_decides_until_the_reader_does(fake, visits):
    page = visits.open(fake.page, color_scheme="dark", locale="zh-CN")
    assert page.locator("h1").inner_text() == "总览"
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(19, 20, 22)"


def test_on_paper_the_controls_are_gone_and_the_numbers_stay(fake, visits, picture):
    page = visits.open(fake.page)
    page.emulate_media(media="print")
    assert not page.locator(".side").is_visible()
    assert not page.get_by_role("button", name="Table: Spend over time").is_visible()
    assert page.locator("[data-card=spend_today]").is_visible()
    picture(page, "overview-print")
