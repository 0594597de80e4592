"""What a notebook is made of: names from outside stay text, settings and apertures are there."""

import ast

import nbformat
import pytest

from goodman_live.widgets.pages.open_notebook import by_hand, notebook

HOSTILE = '"; import os; os.remove("x") #`\n.fits'
APERTURE = {"row": 1300.5, "lower": -8.0, "upper": 8.0, "zones": [[-40, -12]], "column": 1000.0}


def detail(**changes):
    return {
        "id": 7,
        "file_name": "ecfzst_0024.fits",
        "data_type": "3",
        "block": "extract",
        "inputs": [{"id": 5, "role": "reduced", "file_name": "cfzst_0024.fits"}],
        "settings": {"extraction": "optimal", "max_targets": 3},
        "versions": {"numpy": "2.4"},
        **changes,
    }


def code(made):
    return ["".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize(
    ("block", "roles"),
    [
        ("reduce", ["raw", "bias", "flat"]),
        ("extract", ["reduced"]),
        ("calibrate_wavelength", ["extracted", "arc", "arc"]),
        ("calibrate_flux", ["calibrated", "sensitivity"]),
        ("build_master_bias", ["raw", "raw", "raw"]),
    ],
)
def test_the_notebook_of_each_block_is_valid_and_calls_it(block, roles):
    inputs = [{"id": n, "role": role, "file_name": "x"} for n, role in enumerate(roles, 1)]
    made = notebook(detail(block=block, inputs=inputs), {}, {})
    nbformat.validate(nbformat.from_dict(made))
    trees = [ast.parse(text) for text in code(made)]
    called = {
        node.func.id: {word.arg for word in node.keywords}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert {"out_dir", "settings"} <= called[block]
    plural = {"arc": "arcs"}
    assert {plural.get(role, role) for role in roles[1:] if role != roles[0]} <= called[block]
    assert all(str(one["id"]) in code(made)[1] for one in inputs)


def test_apertures_and_values_mended_by_hand_are_given_again():
    made = notebook(detail(), {"apertures": [APERTURE]}, {"OBJECT": HOSTILE})
    run = code(made)[2]
    values = [node.value for node in ast.walk(ast.parse(run)) if isinstance(node, ast.Constant)]
    assert HOSTILE in values  # as one piece of text, and nothing else
    assert {1300.5, 8.0, 40, 12} <= set(values)
    assert "apertures=apertures" in run


def test_a_name_from_outside_is_text_in_the_title():
    made = notebook(detail(file_name=HOSTILE), {}, {})
    title = "".join(made["cells"][0]["source"])
    assert title.count("`") == 4  # the name and the block, each between two
    for text in code(made):
        assert "os.remove" not in text
        ast.parse(text)


def test_only_what_people_mended_is_an_overlay():
    cards = [
        {"keyword": "OBJECT", "mended": "A", "by_hand": True},
        {"keyword": "GAIN", "mended": "1.48", "by_hand": False},
        {"keyword": "RDNOISE", "mended": None, "by_hand": True},
    ]
    assert by_hand(cards) == {"OBJECT": "A"}
