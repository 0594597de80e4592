"""The search's address, filters, rows and script."""

import ast
import math
from typing import Any

from goodman_live.server_extension.catalogue.filters import ORDERINGS
from goodman_live.widgets.pages import search, search_script
from tests.widgets.service import make_file


def test_an_address_brings_its_search_back():
    chosen = {
        "obstype": ["ARC", "BIAS"],
        "object": [],
        "search": ["a&b=c"],
        "date_min": ["2026-08-15"],
    }
    clean = search.clean(chosen)
    query = search.to_query(clean, "-file_name", 3)
    assert search.from_query(query) == (clean, "-file_name", 3)


def test_an_address_from_elsewhere_does_no_harm():
    query = "ordering=;drop&page=-4&evil=1&obstype=" + "x" * 1000
    chosen, ordering, page = search.from_query(query)
    assert (set(chosen), ordering, page) == ({"obstype"}, "-id", 1)
    assert len(chosen["obstype"][0]) == 200


def test_half_a_position_is_no_filter_and_a_whole_one_has_a_radius():
    assert search.as_filters({"ra": ["10"], "radius": ["3"]}) == {}
    assert search.as_filters({"ra": ["10"], "dec": ["-3"]})["radius"] == search.RADIUS


def test_what_is_chosen_stays_among_the_choices_when_nothing_fits():
    groups = search.facet_groups({"obstype": []}, {"obstype": ["ARC"]})
    assert groups[0]["values"] == [{"value": "ARC", "label": "ARC", "count": 0}]


def test_every_column_has_its_cell():
    row = search.file_row(make_file(7, grade="C", role="mask"))
    keys = {one["key"] for one in (*search.ALWAYS, *search.OPTIONAL.values())}
    assert keys <= set(row)
    assert (row["href"], row["type"], row["grade_tone"]) == (
        "data.ipynb?file=7",
        "Raw (mask)",
        "warn",
    )


def test_every_column_is_sorted_by_the_service():
    columns = (*search.ALWAYS, *search.OPTIONAL.values())
    assert {one.get("sort") for one in columns} <= set(ORDERINGS)


def constants(text: str) -> dict[str, Any]:
    tree = ast.parse(text)
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def test_a_script_holds_what_was_asked_whatever_it_contains():
    hostile = {"search": '"""\nimport os; os.system("x") #{0}', "obstype": ["A'B"]}
    text = search_script.write("https://host/services/goodman/", hostile, [])
    assert constants(text) == {
        "BASE": "https://host/services/goodman/",
        "FILTERS": hostile,
        "IDS": [],
    }
    # Nothing of it became code.
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)]
    assert "system" not in {node.attr for node in calls}


def test_numbers_that_are_none_do_not_spoil_a_row():
    assert search.file_row(make_file(1, airmass=None, exptime=math.inf))["airmass"] is None
