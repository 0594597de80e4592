"""The Data page against a real HTTP service: what it lists, opens and keeps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from goodman_live.widgets.components import viewer
from goodman_live.widgets.pages import file_detail, tasks
from goodman_live.widgets.pages.data import DataPage
from tests.widgets.service import Service, make_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from goodman_live.widgets.client import AsyncClient


async def until(ready: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not ready():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.02)


@pytest.fixture
async def open_page(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., DataPage]]:
    pages: list[DataPage] = []
    for module in (tasks, file_detail, viewer):
        monkeypatch.setattr(module, "RETRY", 0.05)

    def make(file_id: int = 0) -> DataPage:
        pages.append(DataPage(client, file_id))
        pages[-1].begin()
        return pages[-1]

    yield make
    for page in pages:
        page.shell.tasks.stop_all()
    await asyncio.sleep(0.05)


def ids(page: DataPage) -> list[int]:
    return [row["id"] for row in page.files.widget.rows]


async def act(page: DataPage, key: str) -> None:
    """Press a button of the file shown, as the browser says it."""
    wanted = {"key": key, "file": page.detail.head.selected}
    await until(lambda: any(wanted.items() <= one.items() for one in page.detail.actions.actions))
    page.detail._act(wanted)


async def test_the_newest_file_is_opened_by_itself(open_page):
    page = open_page()
    await until(lambda: page.detail.head.tabs)
    assert ids(page) == [3, 2, 1]
    assert page.files.widget.selected == 3
    assert page.detail.head.title == "0003_target.fits"


async def test_a_new_frame_appears_and_does_not_steal_the_selection(open_page, service: Service):
    page = open_page()
    await until(lambda: page.files.widget.selected == 3)
    service.state.files[4] = make_file(4)
    service.emit("frame.added", frame_id=4)
    await until(lambda: ids(page) == [4, 3, 2, 1])
    await asyncio.sleep(0.2)
    assert page.files.widget.selected == 3
    assert page.detail.root == 3


async def test_a_new_product_is_shown_when_the_reader_has_chosen_no_step(
    open_page, service: Service
):
    page = open_page()
    await until(lambda: page.detail.head.selected == 3)
    service.state.files[30] = make_file(30, data_type="2", original_file_id=3)
    service.emit("product.made", frame_id=30)
    await until(lambda: page.detail.head.selected == 30)
    assert [tab["label"] for tab in page.detail.head.tabs] == ["Reduced", "Raw"]
    assert page.files.widget.selected == 3
    assert page.files.widget.shown == 30


async def test_a_step_that_the_reader_chose_stays(open_page, service: Service):
    service.state.files[30] = make_file(30, data_type="2", original_file_id=3)
    page = open_page()
    await until(lambda: page.detail.head.selected == 30)
    page.detail._choose_tab(3)
    await until(lambda: page.detail.head.selected == 3)
    service.state.files[31] = make_file(31, data_type="3", original_file_id=3)
    service.emit("product.made", frame_id=31)
    await until(lambda: len(page.detail.head.tabs) == 3)
    assert page.detail.head.selected == 3


async def test_older_versions_are_beside_the_tabs_and_can_be_opened(open_page, service: Service):
    old = make_file(30, data_type="2", original_file_id=3, is_current=False)
    new = make_file(31, data_type="2", original_file_id=3, version=2)
    service.state.files.update({30: old, 31: new})
    page = open_page()
    await until(lambda: page.detail.head.selected == 31)
    assert [tab["id"] for tab in page.detail.head.tabs] == [31, 3]
    assert [one["id"] for one in page.detail.head.more] == [30]
    page.detail._choose_tab(30)
    await until(lambda: page.detail.head.selected == 30 and page.detail.viewer.shows == 30)


async def test_a_file_named_in_the_address_is_opened(open_page, service: Service):
    service.state.files[20] = make_file(20, data_type="2", original_file_id=2)
    page = open_page(20)
    await until(lambda: page.detail.head.tabs)
    assert page.files.widget.selected == 2
    assert page.detail.head.selected == 20


async def test_a_file_that_is_not_there_is_said(open_page):
    page = open_page(77)
    await until(lambda: "no file 77" in page.detail.head.title)
    await until(lambda: ids(page) == [3, 2, 1])


async def test_an_empty_catalogue_is_said(open_page, service: Service):
    service.state.files.clear()
    page = open_page()
    await until(lambda: page.files.widget.state == "ready")
    assert "No frames yet" in page.files.widget.message
    assert page.detail.head.title == "No frame to show yet."
    service.state.files[4] = make_file(4)
    page.files.news()
    await until(lambda: page.detail.head.tabs)


async def test_a_page_of_one_proposal_says_so(open_page, service: Service):
    service.state.files[4] = make_file(4, proposal_id="SOAR2026B-002")
    page = open_page()
    page.files.proposal = "SOAR2026B-002"
    await until(lambda: ids(page) == [4])
    assert page.files.widget.scope == "Only SOAR2026B-002"
    page.files.proposal = "SOAR2026B-003"
    page.files.news()
    await until(lambda: not ids(page))
    assert "No frames yet of SOAR2026B-003" in page.files.widget.message


async def test_on_a_later_page_new_frames_are_counted_not_pushed(open_page, service: Service):
    service.state.files.update({n: make_file(n) for n in range(4, 50)})
    page = open_page()
    await until(lambda: page.files.widget.pages == 3)
    page.files._choose_page(2)
    await until(lambda: ids(page)[0] == 29)
    service.state.files[50] = make_file(50)
    service.emit("frame.added", frame_id=50)
    await until(lambda: page.files.widget.unseen == 1)


async def test_a_service_that_goes_away_is_said_and_healed(open_page, service: Service):
    page = open_page()
    await until(lambda: page.files.widget.selected == 3)
    service.state.failures[:] = [503] * 30
    page.files.news()
    page.detail.again()
    await until(lambda: "told to fail" in page.files.widget.message)
    await until(lambda: any("told to fail" in one["text"] for one in page.detail.head.waits))
    service.state.failures.clear()
    await until(lambda: page.files.widget.message == "" and page.files.widget.rows)
    await until(lambda: not page.detail.head.waits)


async def test_a_frame_that_could_not_be_opened_is_opened_later(open_page, service: Service):
    page = open_page()
    await until(lambda: page.detail.root == 3)
    service.state.failures[:] = [503] * 30
    page.files.widget.selected = 1
    await until(lambda: page.detail.head.waits)
    service.state.failures.clear()
    await until(lambda: page.detail.root == 1 and not page.detail.head.waits)


async def test_a_session_that_ended_is_said(open_page, service: Service):
    service.state.failures[:] = [401] * 40
    page = open_page()
    await until(lambda: "session has ended" in page.shell.notice.text)


async def test_a_job_is_followed_to_its_end(open_page, service: Service):
    page = open_page(2)
    await until(lambda: page.detail.actions.actions)
    await act(page, "reduce")
    await until(lambda: any(job["tone"] == "good" for job in page.detail.actions.jobs))
    assert [job["label"] for job in page.detail.actions.jobs] == ["Reduce"]


async def test_a_failed_job_shows_its_own_words(open_page, service: Service):
    page = open_page(3)
    await until(lambda: page.detail.actions.actions)
    await act(page, "reduce")
    await until(lambda: any(job["tone"] == "bad" for job in page.detail.actions.jobs))
    assert "No suitable flat" in page.detail.actions.jobs[0]["message"]


async def test_deleting_a_product_goes_back_to_the_step_before(open_page, service: Service):
    service.state.files[30] = make_file(30, data_type="2", original_file_id=3)
    page = open_page()
    await until(lambda: page.detail.head.selected == 30)
    await act(page, "delete")
    await until(lambda: page.detail.head.selected == 3)
    assert 30 not in service.state.files


async def test_a_file_without_a_picture_says_so_in_its_place(open_page, service: Service):
    service.state.files[3] = make_file(3, object="BROKEN")
    page = open_page()
    await until(lambda: "0003_target.fits is truncated" in page.detail.viewer.note.text)
    page.detail.open(2)
    await until(lambda: page.detail.viewer.shows == 2 and not page.detail.viewer.note.text)


async def test_a_spectrum_is_drawn_with_its_axes_and_gaps(open_page, service: Service):
    service.state.files[30] = make_file(30, data_type="4", original_file_id=3)
    page = open_page()
    await until(lambda: page.detail.viewer.shows == 30 and page.detail.viewer.frame.children)
    figure = page.detail.viewer.frame.children[0]
    assert [axis.label for axis in figure.axes] == ["Wavelength (Angstrom)", "Intensity (ADU)"]
    flux = figure.marks[-1]
    np.testing.assert_array_equal(flux.x, [4000.0, 4001.0, 4002.0])
    np.testing.assert_array_equal(flux.y, [10.0, np.nan, 30.0])


async def test_zooming_asks_for_the_region_in_view(open_page, service: Service):
    page = open_page()
    await until(lambda: page.detail.viewer.shows == 3 and page.detail.viewer.frame.children)
    view = page.detail.viewer._image
    assert view.visible_region() == (0, 0, 4, 3)
    assert not view.detail.visible
    view.x.min, view.x.max = 0.6, 2.4
    assert view.visible_region() == (1, 0, 3, 3)
    await until(lambda: view.detail.visible)
    assert [*view.detail.x] == [0.5, 2.5]
    view.reset()
    assert not view.detail.visible


async def test_pictures_that_were_shown_do_not_stay_in_the_kernel(open_page, service: Service):
    from ipywidgets.widgets.widget import _instances  # noqa: PLC0415

    page = open_page()
    await until(lambda: page.detail.viewer.shows == 3 and page.detail.viewer.frame.children)

    async def look(count: int) -> int:
        for number in [1, 2, 3] * count:
            page.detail.open(number)
            await until(lambda number=number: page.detail.viewer.shows == number)
            await asyncio.sleep(0.05)
        return len(_instances)

    first = await look(3)
    assert await look(3) == first


async def test_choices_are_taken_up_and_kept(open_page, service: Service):
    service.state.options = {
        "other page": {"x": 1},
        "data": {"colours": "viridis", "stretch": "no longer there", "sky": "yes", "title": False},
    }
    view = open_page().detail.viewer
    await until(lambda: view.colours.value == "viridis")
    assert (view.stretch.value, view.sky.value, view.titled.value) == ("linear", False, False)
    view.colours.value = "magma"
    await until(lambda: service.state.options["data"]["colours"] == "magma")
    assert service.state.options["other page"] == {"x": 1}


async def test_the_header_is_read_when_it_is_unfolded(open_page, service: Service):
    page = open_page()
    await until(lambda: page.detail.cards.name)
    assert ("GET", "/services/goodman/api/files/header/") not in service.state.asked
    page.detail.cards.unfolded = True
    await until(lambda: page.detail.cards.cards)
    assert page.detail.cards.cards[0]["value"] == "EG21"


async def test_what_was_asked_of_one_file_is_never_done_to_another(open_page, service: Service):
    """The page goes on to newer products by itself, also while a reader presses a button."""
    service.state.files[30] = make_file(30, data_type="2", original_file_id=3)
    page = open_page()
    await until(lambda: page.detail.head.selected == 30 and page.detail.actions.actions)
    pressed = next(one for one in page.detail.actions.actions if one["key"] == "delete")
    service.state.files[31] = make_file(31, data_type="3", original_file_id=3)
    service.emit("product.made", frame_id=31)
    await until(lambda: page.detail.head.selected == 31)
    page.detail._comment({"file": 30, "text": "of the reduced frame"})
    await until(lambda: page.detail.comments.comments)
    assert (page.detail.head.selected, page.detail.comments.file) == (30, 30)
    page.detail._act({"key": "delete", "file": pressed["file"]})
    await until(lambda: page.detail.head.selected == 31)
    assert 30 not in service.state.files
    assert 31 in service.state.files
    page.files.widget.selected = 1
    await until(lambda: page.detail.root == 1)
    page.detail._act({"key": "delete", "file": 31})  # of another frame: too late
    page.detail._act("delete")
    await until(lambda: page.detail.viewer.shows == 1)
    assert 31 in service.state.files


async def test_frames_opened_while_the_family_is_read_again_do_not_mix(
    open_page, service: Service
):
    page = open_page()
    await until(lambda: page.detail.root == 3)
    for number in [1, 2, 3] * 5:
        page.detail.again()
        page.detail.open(number)
        await until(lambda number=number: page.detail.root == number)
        await asyncio.sleep(0.01 * number)
    assert page.shell.notice.text == ""
    service.state.files[30] = make_file(30, data_type="2", original_file_id=3)
    service.emit("product.made", frame_id=30)
    await until(lambda: page.detail.head.selected == 30)


async def test_news_of_what_is_about_to_go_do_not_take_the_choice_back(
    open_page, service: Service
):
    page = open_page()
    await until(lambda: page.detail.head.selected == 3)
    marked: list[int] = []
    page.files.widget.observe(lambda change: marked.append(change["new"]), "selected")
    service.state.held.add(2)
    page.files.widget.selected = 2
    assert page.detail.head.opening
    page.detail._choose_tab(3)  # of the frame that is about to go
    service.state.files[30] = make_file(30, data_type="2", original_file_id=3)
    service.emit("product.made", frame_id=30)
    asked = ("GET", "/services/goodman/api/files/")
    before = service.state.asked.count(asked)
    await until(lambda: service.state.asked.count(asked) > before)  # the list has heard of it
    await asyncio.sleep(0.5)
    service.state.held.clear()
    await until(lambda: page.detail.root == 2)
    assert not page.detail.head.opening
    # What came meanwhile is read once the frame is open.
    service.state.files[20] = make_file(20, data_type="2", original_file_id=2)
    service.emit("product.made", frame_id=20)
    await until(lambda: page.detail.head.selected == 20)
    assert marked == [2]


async def test_a_view_that_failed_comes_when_the_service_is_back(open_page, service: Service):
    page = open_page()
    await until(lambda: page.detail.viewer.shows == 3 and page.detail.viewer.frame.children)
    service.state.draws = False
    page.detail.open(2)
    await until(lambda: "Trying again" in page.detail.viewer.note.text)
    service.state.draws = True
    await until(lambda: not page.detail.viewer.note.text and page.detail.viewer._drawn == 2)


async def test_a_comment_is_kept_or_the_refusal_is_said(open_page):
    page = open_page()
    await until(lambda: page.detail.actions.actions)
    page.detail._comment({"file": 3, "text": "refuse me"})
    await until(lambda: "This text is refused" in page.detail.comments.message)
    assert page.detail.comments.kept == 0
    page.detail._comment({"file": 3, "text": "clouds at the end"})
    await until(lambda: page.detail.comments.comments)
    assert page.detail.comments.comments[0]["text"] == "clouds at the end"
    assert page.detail.comments.kept == 1
    assert page.detail.comments.message == ""
    page.detail._uncomment(1)
    await until(lambda: not page.detail.comments.comments)


def test_no_kernel_of_a_page_imports_the_science_stack():
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    code = (
        "import sys, goodman_live.widgets.pages.data, goodman_live.widgets.components.image_view,"
        " goodman_live.widgets.components.spectrum_view;"
        "print([n for n in ('astropy','scipy','specutils','matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_what_a_run_makes_does_not_take_the_reader_from_another_step(
    open_page, service: Service
):
    service.state.files[30] = make_file(30, data_type="2", original_file_id=2)
    page = open_page(2)
    await until(lambda: page.detail.head.selected == 30)
    page.detail._choose_tab(2)
    await until(lambda: page.detail.head.selected == 2)
    await act(page, "reduce")
    page.detail._choose_tab(30)  # the reader looks at something else meanwhile
    await until(lambda: page.detail.actions.jobs and not page.detail.actions.jobs[0]["running"])
    service.state.files[31] = make_file(31, data_type="3", original_file_id=2)
    service.emit("product.made", frame_id=31)
    await until(lambda: len(page.detail.head.tabs) == 3)
    assert page.detail.head.selected == 30


async def test_a_part_of_the_frame_before_is_not_laid_over_the_next_one():
    from goodman_live.widgets.components.image_view import ImageView  # noqa: PLC0415 (bqplot)

    work: dict[str, asyncio.Task[None]] = {}
    view = ImageView(lambda name, coro: work.update({name: asyncio.ensure_future(coro)}))
    held, painting = asyncio.Event(), asyncio.Event()

    async def slow(region, width, height):
        if region != (0, 0, 100, 50):
            painting.set()
            await held.wait()
        return b"before"

    view.show((100, 50), b"before", slow, keep=False)
    view.x.min, view.x.max = 10.0, 20.0
    await painting.wait()
    view.show((100, 50), b"after", slow, keep=False)
    held.set()
    await work["detail"]
    assert view.whole.image.value == b"after"
    assert not view.detail.visible


async def test_a_frame_is_said_to_be_something_else(open_page, service: Service):
    page = open_page(2)
    await until(lambda: page.detail.head.selected == 2)
    await act(page, "reclassify")  # without a choice nothing is asked
    page.detail._act({"key": "reclassify", "file": 2, "choice": "OBSTYPE=LAMPFLAT"})
    page.detail._act({"key": "reclassify", "file": 2, "choice": "password=1"})
    await until(lambda: service.state.bodies)
    assert service.state.bodies == [{"id": 2, "header": {"OBSTYPE": "LAMPFLAT"}}]
    await until(lambda: {"name": "Type", "value": "LAMPFLAT"}.items() <= facts(page))
    service.emit("frame.changed", frame_id=2)
    await until(lambda: any(row["obstype"] == "LAMPFLAT" for row in page.files.widget.rows))
    assert page.files.widget.selected == 2


def facts(page: DataPage) -> Any:
    return next((one for one in page.detail.head.facts if one["name"] == "Type"), {}).items()
