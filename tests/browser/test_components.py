"""Components by themselves, in Chromium: news and slow answers lose nothing of the reader's."""

import base64
import csv

import numpy as np
import pytest
from astropy.wcs import WCS, Sip

from goodman_live.widgets.components.base import script
from goodman_live.widgets.pages.image_pane import celestial

pytestmark = pytest.mark.browser

MODEL = """async ([module, state]) => {
  const { default: component } = await import("data:text/javascript;base64," + module);
  const heard = new Map();
  const model = {
    sent: [],
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes: () => {},
    send: (message) => model.sent.push(message),
    on: (name, handler) => heard.set(name, [...(heard.get(name) || []), handler]),
    // What the kernel says.
    take: async (news) => {
      const old = { ...state };
      Object.assign(state, news);
      for (const [name, value] of Object.entries(news)) {
        if (JSON.stringify(value) === JSON.stringify(old[name])) continue;
        for (const handler of heard.get("change:" + name) || []) handler();
      }
      await new Promise((next) => setTimeout(next));
    },
  };
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  component.render({ model, el });
  window.model = model; }"""


@pytest.fixture
def draw(page):
    """Return ``draw(names, **traits)``: a component alone on a page, with a kernel to play."""
    page.goto("about:blank")

    def draw(names, **traits):
        module = base64.b64encode(script(*names.split()).encode()).decode()
        page.evaluate(MODEL, [module, traits])
        return page

    return draw


def take(page, **news):
    page.evaluate("(news) => model.take(news)", news)


def sent(page, what):
    told = page.evaluate("model.sent")
    return [one["value"] for one in told if one["what"] == what]


def form(draw, **more):
    fields = [{"key": key, "label": key.capitalize(), "kind": "text"} for key in ("title", "code")]
    return draw(
        "form",
        title="", intro="", groups=[{"label": "", "fields": fields}], values={}, faults={},
        message="", tone="info", editable=True, busy=False, summoned=False,
        buttons=[{"key": "save", "label": "Save", "main": True}], **more,
    )  # fmt: skip


def test_what_is_typed_stays_when_another_field_is_filled(draw):
    page = form(draw)
    page.get_by_label("Title").fill("A survey")
    take(page, values={"title": "", "code": "2026B-1", "_fills": {"code": 1}})
    assert page.get_by_label("Title").input_value() == "A survey"
    assert page.get_by_label("Code").input_value() == "2026B-1"
    # Nor does it go when the fields are drawn anew.
    take(page, editable=False)
    assert page.get_by_label("Title").input_value() == "A survey"
    take(page, values={"title": "", "code": "2026B-1", "_fills": {"code": 1, "title": 1}})
    assert page.get_by_label("Title").input_value() == ""


def test_a_form_is_sent_once_until_it_is_answered(draw):
    page = form(draw)
    page.get_by_label("Title").fill("A survey")
    page.get_by_role("button", name="Save").dblclick()
    assert [one["values"]["title"] for one in sent(page, "press")] == ["A survey"]
    take(page, busy=True)
    page.get_by_label("Code").fill("typed meanwhile")
    kept = {"title": "A Survey", "code": "", "_fills": {"title": 1, "code": 1}}
    take(page, values=kept)
    take(page, busy=False)
    assert page.get_by_label("Title").input_value() == "A Survey"
    assert page.get_by_label("Code").input_value() == "typed meanwhile"
    page.get_by_role("button", name="Save").click()
    assert len(sent(page, "press")) == 2


def groups(*counts):
    values = [
        {"value": name, "label": name, "count": count}
        for name, count in zip(("ARC", "BIAS", "FLAT"), counts, strict=True)
    ]
    return [{"key": "obstype", "label": "By obstype", "values": values}]


def test_a_filter_ticked_while_counts_come_stays_ticked(draw):
    page = draw("facets", groups=groups(5, 6, 7), chosen={}, heard=0, fault="")
    page.locator("summary", has_text="By obstype").click()
    page.get_by_role("checkbox", name="ARC").check()
    take(page, groups=groups(6, 6, 7))  # news, before the kernel has heard of it
    assert page.get_by_role("checkbox", name="ARC").is_checked()
    page.get_by_role("checkbox", name="BIAS").check()
    take(page, chosen={"obstype": ["ARC"]}, heard=1)
    assert page.get_by_role("checkbox", name="BIAS").is_checked()
    assert sent(page, "filters")[-1] == {"chosen": {"obstype": ["ARC", "BIAS"]}, "serial": 2}
    take(page, chosen={"obstype": ["BIAS"]}, heard=2)
    assert not page.get_by_role("checkbox", name="ARC").is_checked()
    page.get_by_role("button", name="Clear all").click()
    assert sent(page, "filters")[-1] == {"chosen": {}, "serial": 3}


def test_a_table_keeps_the_keyboards_place_when_rows_come(draw):
    button = {"key": "off", "label": "Switch off"}
    rows = [{"key": n, "name": f"row {n}", "actions": [button], "more": "x"} for n in (2, 1)]
    page = draw(
        "rows",
        title="T", fields=[], chosen={}, optional=[], rows=rows, ordering="", selectable=True,
        columns=[{"key": "name", "label": "Name"}, {"key": "actions", "label": ""}], picked=[],
        tools=[], message="", state="ready", page=1, pages=1, count=2,
    )  # fmt: skip
    page.get_by_label("Switch off row 1").focus()
    page.evaluate("window.node = document.activeElement")
    take(page, rows=[{**rows[0], "key": 3, "name": "row 3"}, *rows], picked=[1])
    assert page.evaluate("window.node === document.activeElement && window.node.isConnected")
    assert page.locator("tr[data-row] .gl-pick input").evaluate_all(
        "(boxes) => boxes.map((box) => box.checked)"
    ) == [False, False, True]
    page.get_by_label("More about row 2").press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "More about row 2"
    assert page.locator(".gl-more-row:visible").count() == 1
    # A row whose own words change keeps the place as well.
    page.get_by_label("Switch off row 1").focus()
    take(page, rows=[{**rows[1], "name": "row 1, changed"}])
    page.keyboard.press("Enter")
    assert sent(page, "act") == [{"key": "off", "row": 1}]


def test_columns_are_put_beside_those_of_the_public_service(draw):
    page = draw(
        "rows",
        title="T", fields=[], chosen={}, rows=[], ordering="", selectable=False, picked=[],
        optional=[{"key": "slit", "label": "Slit", "on": False}], columns=[], tools=[],
        message="", state="ready", page=1, pages=1, count=0,
    )  # fmt: skip
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("Slit").check()
    assert sent(page, "column") == [{"key": "slit", "on": True}]


def test_a_fault_goes_when_its_field_is_changed_and_others_stay(draw):
    page = form(draw)
    take(page, faults={"title": "Too long.", "code": "Unknown."})
    shown = page.locator(".gl-fault:visible")
    assert shown.all_inner_texts() == ["Too long.", "Unknown."]
    page.get_by_label("Title").fill("shorter")
    assert shown.all_inner_texts() == ["Unknown."]
    assert page.get_by_label("Title").get_attribute("aria-invalid") is None


def test_the_index_is_walked_by_keyboard_and_news_leave_the_choice(draw):
    def frame(number):
        facts = {"obstype": "BIAS", "object": "", "state": "done", "tone": "good"}
        return {"id": number, "name": f"{number:04d}.fits", **facts}

    rows = [frame(number) for number in (9, 8, 7)]
    page = draw(
        "index",
        sections=[{"key": "observed", "label": "Observed", "count": 1234}], section="observed",
        rows=rows, selected=8, shown=0, addressed=False, page=1, pages=62, unseen=0,
        state="ready", message="",
    )  # fmt: skip
    assert page.locator(".gl-count").inner_text() == "1,234"
    page.get_by_role("listbox").press("ArrowDown")
    assert page.evaluate("model.get('selected')") == 7
    take(page, rows=[frame(10), *rows])
    assert page.locator(".gl-row").first.inner_text().startswith("0010")
    assert page.locator(".gl-chosen").get_attribute("data-file") == "7"
    page.get_by_role("listbox").press("Home")
    assert page.evaluate("model.get('selected')") == 10
    jump = page.get_by_label("Page", exact=True)
    for wanted in ("40", "900"):
        jump.fill(wanted)
        jump.press("Enter")
    page.get_by_role("listbox").press("PageDown")
    assert sent(page, "page") == [40, 62, 2]


def test_smoothing_and_units_leave_the_numbers_alone(draw):
    rng = np.random.default_rng(5)
    x, y = np.linspace(5000, 5300, 90).tolist(), rng.normal(100, 9, 90).tolist()
    one = {
        "id": 3, "label": "star", "x": x, "y": y, "uncertainty": [9.0] * 90, "sky": [1.0] * 90,
        "x_name": "Wavelength (Angstrom)", "x_unit": "Angstrom",
        "y_name": "Intensity (ADU)", "y_unit": "adu",
    }  # fmt: skip
    page = draw("pens curves", spectra=[one], candidates=[], lines=[], arc={}, fit={})
    smooth = page.get_by_label("Smoothing, pixels")
    for _ in range(6):
        smooth.press("ArrowRight")
    assert page.locator("output", has_text="3 px").count() == 1
    page.get_by_label("Axis").select_option("nm")
    with page.expect_download() as came:
        page.locator("[data-export=csv]").click()
    rows = list(csv.DictReader(came.value.path().read_text().splitlines()))
    assert [float(row["flux"]) for row in rows] == y
    assert [float(row["wavelength_aa"]) for row in rows] == x


def tabs_of(steps, targets):
    several = [
        {"step": step, "target": target, "label": f"{step} · target {target}"}
        for step in steps
        for target in range(1, targets + 1)
    ]
    alone = [{"step": step, "target": None, "label": step} for step in ("Reduced", "Raw")]
    return [
        {"id": number, "note": "", "name": "", **tab}
        for number, tab in enumerate([*several, *alone], 1)
    ]


def test_the_targets_of_a_step_are_tabs_side_by_side(draw):
    tabs = tabs_of(("Flux calibrated", "Wavelength calibrated", "Extracted"), 3)
    page = draw(
        "head", title="T", tabs=tabs, more=[], selected=5, facts=[], waits=[], opening=False
    )
    found = page.get_by_role("tab")
    assert [tab.inner_text() for tab in found.all()][-2:] == ["Reduced", "Raw"]
    assert found.count() == 11
    assert page.locator(".gl-stepname").all_inner_texts() == [
        "Flux calibrated",
        "Wavelength calibrated",
        "Extracted",
    ]
    chosen = page.get_by_role("tab", selected=True)
    assert chosen.get_attribute("data-file") == "5"
    page.get_by_role("tab", name="Wavelength calibrated · target 3", exact=True).click()
    # The name of a step keeps to the target that is shown.
    page.locator(".gl-stepname", has_text="Extracted").click()
    assert sent(page, "tab") == [6, 8]
    chosen.focus()
    page.keyboard.press("ArrowRight")
    assert sent(page, "tab")[-1] == 6
    take(page, selected=6)
    assert page.evaluate("document.activeElement.dataset.file") == "6"
    # Another frame's tabs come while the keyboard is here.
    take(page, tabs=tabs_of(("Wavelength calibrated", "Extracted"), 2)[:-1], selected=4)
    assert page.evaluate("document.activeElement.dataset.file") == "4"
    take(page, opening=True)
    page.locator(".gl-stepname", has_text="Extracted").click()
    assert len(sent(page, "tab")) == 3


def action(key, file, **more):
    return {"key": key, "label": key.capitalize(), "file": file, "reason": "", **more}


def test_a_question_stays_until_the_file_goes(draw):
    delete = action("delete", 7, confirm="Really?")
    page = draw("actions", actions=[delete], jobs=[])
    page.get_by_role("button", name="Delete").click()
    take(page, actions=[delete, action("notebook", 7)])
    assert page.get_by_role("alertdialog").is_visible()
    take(page, actions=[{**delete, "file": 8}])
    assert not page.get_by_role("alertdialog").is_visible()


def test_an_action_that_is_not_possible_says_why_and_does_nothing(draw):
    reason = "A bias frame is combined with others into a master."
    page = draw("actions", actions=[action("reduce", 7, reason=reason)], jobs=[])
    button = page.get_by_role("button", name="Reduce")
    assert (button.get_attribute("aria-disabled"), button.get_attribute("title")) == (
        "true",
        reason,
    )
    button.click(force=True)
    assert sent(page, "act") == []
    take(page, actions=[action("reduce", 7)])
    page.get_by_role("button", name="Reduce").click()
    assert sent(page, "act") == [{"key": "reduce", "file": 7, "choice": None}]


def test_progress_does_not_replace_the_button_to_cancel(draw):
    job = {"id": 4, "label": "Reduce", "message": "", "tone": "info", "running": True}
    page = draw("actions", actions=[], jobs=[{**job, "progress": 0.1}])
    page.get_by_role("button", name="Cancel").focus()
    take(page, jobs=[{**job, "progress": 0.5, "message": "flat"}])
    assert page.evaluate("document.activeElement.textContent") == "Cancel"
    assert page.locator("progress").evaluate("(bar) => bar.value") == 0.5
    take(page, jobs=[{**job, "running": False, "progress": 1}])
    assert page.get_by_role("button", name="Dismiss").is_visible()


def test_a_kept_comment_clears_nothing_that_was_typed_since(draw):
    page = draw("comments", comments=[], root=1, file=1, kept=0, message="")
    field = page.get_by_label("Comment", exact=True)
    field.fill("first")
    page.get_by_role("button", name="Add comment").click()
    field.fill("second")
    take(page, kept=1)
    assert field.input_value() == "second"
    page.get_by_role("button", name="Add comment").click()
    take(page, root=2, file=2)
    field.fill("of another frame")
    take(page, kept=2)
    assert field.input_value() == "of another frame"
    take(page, root=1, file=1)
    assert field.input_value() == ""


def test_the_sky_under_the_cursor_is_the_one_that_astropy_tells(page):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    wcs.wcs.crval, wcs.wcs.crpix = [359.99, -61.2], [760.0, 755.5]
    wcs.wcs.cd = 4.2e-5 * np.array([[-0.9, 0.43], [0.43, 0.9]])
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0], a[1, 1], b[0, 2], b[1, 1] = 3e-6, -1e-6, 2e-6, 4e-6
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    cards = [{"keyword": key, "value": value} for key, value in wcs.to_header(relax=True).items()]
    module = base64.b64encode((script("sky") + "\nexport { skyOf };").encode()).decode()
    page.goto("about:blank")
    for x, y in ((0, 0), (759, 754.5), (1500, 1480), (10.25, 1400)):
        found = page.evaluate(
            "async ([code, wcs, x, y]) => (await import('data:text/javascript;base64,' + code))"
            ".skyOf(wcs, x, y)",
            [module, celestial(cards), x, y],
        )
        expected = [float(one) for one in wcs.all_pix2world(x, y, 0)]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
        # The distortion is not a trifle here: many pixels at the corners.
        plain = [float(one) for one in wcs.wcs_pix2world(x, y, 0)]
        assert (x, y) == (759, 754.5) or np.hypot(*(np.subtract(plain, expected))) > 4e-5
