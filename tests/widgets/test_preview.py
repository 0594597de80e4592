"""What the Data page shows before its kernel is up, against a real HTTP service."""

from goodman_live.widgets.preview import newest
from tests.widgets.service import make_file


async def test_the_newest_frame_with_its_last_step(client, service):
    service.state.files[30] = make_file(30, data_type="2", original_file_id=3)
    found = await newest(client, 0)
    assert [row["id"] for row in found["rows"]] == [3, 2, 1]
    assert found["shown"]["id"] == 30


async def test_the_file_that_the_address_names_or_none(client, service):
    assert (await newest(client, 2))["shown"]["id"] == 2
    assert (await newest(client, 77))["shown"] == {}
    service.state.files.clear()
    assert await newest(client, 0) == {"rows": [], "shown": {}}


async def test_of_one_proposal_where_the_address_says_so(client, service):
    service.state.files[4] = make_file(4, proposal_id="SOAR2026B-002")
    found = await newest(client, 0, "SOAR2026B-002")
    assert [row["id"] for row in found["rows"]] == [4]
    assert await newest(client, 0, "SOAR2026B-003") == {"rows": [], "shown": {}}
