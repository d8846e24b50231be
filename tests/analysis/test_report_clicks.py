"""What clicks, keys and boxes do to a report's charts, in a real browser."""

from browsing import click_point, drawn_configurations, needs_chromium, point, show
from playwright.sync_api import Page

from analysis.study.load import StudyData

pytestmark = needs_chromium


def test_a_selection_is_marked_in_every_view(page: Page) -> None:
    configuration = click_point(page, "front", 1)
    for figure in ("front", "slice-learning_rate-gen_sharpness", "parallel", "rate-distortion", "timeline"):
        show(page, figure)
        page.wait_for_function(
            f"document.querySelector('[data-figure=\"{figure}\"]').data.some(t => t.name === 'selected')"
        )
    rows = page.evaluate("[...document.querySelectorAll('#table tr.selected')].map(r => r.lastChild.textContent)")
    assert sorted(rows) == [f"{configuration}-s0", f"{configuration}-s1"]
    assert page.url.endswith(f"#configuration-{configuration}")
    page.get_by_role("button", name="Close").click()
    assert page.locator("#table tr.selected").count() == 0


def test_what_changes_twice_at_once_is_drawn_and_still_hears_clicks(page: Page) -> None:
    click_point(page, "front")
    made = page.locator("[data-figure=front] .main-svg").first.element_handle()
    # Later than the page's answer, which does not come where it draws for ever.
    page.evaluate("setTimeout(() => ['panel-close', 'clear'].forEach(id => document.getElementById(id).click()))")
    page.wait_for_function("document.querySelector('[data-figure=front]').data.every(t => t.name !== 'selected')")
    assert click_point(page, "front", 1) in page.url and made.evaluate("svg => svg.isConnected")


def test_a_click_is_heard_though_the_mouse_had_just_moved(page: Page) -> None:
    """Plotly looks while the button is down, and forgets the point: it hears no click."""
    x, y, _, configuration = point(page, "front")
    page.mouse.move(x, y)
    page.evaluate(
        """async ([x, y]) => {
            const send = (type, target) => target.dispatchEvent(
                new MouseEvent(type, {bubbles: true, cancelable: true, clientX: x, clientY: y, view: window}));
            const wait = (ms) => new Promise(done => setTimeout(done, ms));
            const drag = document.querySelector("[data-figure='front'] .nsewdrag");
            await wait(100);
            send("mousemove", drag);
            send("mousemove", drag);
            send("pointerdown", drag);
            send("mousedown", drag);
            await wait(55);
            send("mouseup", document.querySelector(".dragcover"));
        }""",
        [x, y],
    )
    page.locator("#panel").wait_for()
    assert page.url.endswith(configuration)


def test_a_line_of_the_parallel_coordinates_opens_between_its_axes(page: Page) -> None:
    show(page, "parallel")
    x, y, configuration = page.evaluate(
        """(() => {
            const place = document.querySelector("[data-figure=parallel]"), trace = place.data.at(-1);
            const {xaxis, yaxis} = place._fullLayout, box = place.getBoundingClientRect();
            const middle = (a, values) => (a.d2p(values[1]) + a.d2p(values[2])) / 2;
            const at = (a) => middle(a, a === xaxis ? trace.x : trace.y);
            return [box.left + xaxis._offset + at(xaxis), box.top + yaxis._offset + at(yaxis),
                    report.configurations[trace.customdata[1]].id];
        })()"""
    )
    page.mouse.click(x, y)
    page.locator("#panel").wait_for()
    assert page.locator("#panel-body .mono").first.text_content() == configuration
    page.keyboard.press("Escape")


def test_a_row_of_the_table_opens_its_replicate(page: Page, study: StudyData) -> None:
    trial = study.trials.loc[study.trials["state"] == "finished", "trial"].iloc[5]
    page.locator("#table tbody tr", has_text=trial).locator("button").click()
    assert page.locator("#panel td button[aria-pressed=true]").text_content() == trial
    page.keyboard.press("Escape")


def test_keys_walk_the_front_and_open_it(page: Page) -> None:
    show(page, "front")
    page.locator("[data-figure=front]").focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#said").text_content()
    page.keyboard.press("ArrowRight")
    assert first and page.locator("#said").text_content() != first
    assert page.locator("#panel").is_hidden()
    page.keyboard.press("Enter")
    assert page.locator("#panel-title").text_content() in page.locator("#said").text_content()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.figure") == "front"


def test_a_box_over_points_keeps_them_everywhere(page: Page) -> None:
    show(page, "parallel")
    box = page.locator("[data-figure=parallel] .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] * 0.4, steps=6)
    page.mouse.up()
    page.wait_for_function("document.querySelector('#kept').textContent !== ''")
    kept = drawn_configurations(page, "parallel")
    show(page, "front")
    assert drawn_configurations(page, "front") == kept
    assert 0 < len(kept) < len(page.evaluate("report.configurations.filter(c => c.hover)"))
    page.get_by_role("button", name="Clear").click()
