"""The form of the settings is made of the settings themselves."""

from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.widgets.pages.settings_form import (
    GROUPS,
    HELP,
    LABELS,
    changes_in_words,
    groups_of,
)

SCHEMA = ReductionSettings.model_json_schema(mode="serialization")


def fields():
    return {field["key"]: field for group in groups_of(SCHEMA) for field in group["fields"]}


def test_every_setting_is_in_the_form_with_its_default_label_and_help():
    assert set(fields()) == set(ReductionSettings.model_fields)
    for name, field in fields().items():
        assert field["default"] == ReductionSettings.model_fields[name].default
        assert field["help"]
        assert field["label"]


def test_the_public_groups_come_first_and_name_settings_that_exist():
    labels = [group["label"] for group in groups_of(SCHEMA)]
    assert labels[:4] == [*GROUPS]
    named = {name for names in GROUPS.values() for name in names}
    assert named | set(HELP) | set(LABELS) <= set(ReductionSettings.model_fields)


def test_limits_and_choices_come_along():
    assert fields()["max_targets"]["max"] == 20
    values = [one["value"] for one in fields()["cosmic_method"]["options"]]
    assert values == ["default", "dcr", "lacosmic", "none"]
    assert fields()["ignore_bias"]["kind"] == "check"


def test_a_setting_that_this_page_does_not_know_is_shown_all_the_same():
    schema = {
        "properties": {"brand_new": {"type": "string", "default": "x", "description": "What."}}
    }
    group = groups_of(schema)[-1]
    assert group["fields"][0]["label"] == "Brand new"
    assert group["fields"][0]["help"] == "What."


def test_a_change_is_said_in_the_words_of_the_form():
    changed = [
        {"name": "ignore_bias", "before": False, "after": True},
        {"name": "extraction", "before": "optimal", "after": "fractional"},
    ]
    said = changes_in_words({"changed": changed, "message": "Then."}, groups_of(SCHEMA))
    assert (
        said
        == "Ignore bias: off → on. Extraction: Optimal weights → Sum with pixel fractions. Then."
    )
