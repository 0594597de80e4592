"""What runs first."""

from types import SimpleNamespace

from goodman_live.server_extension.engine.priority import INTERACTIVE, priority_of

TONIGHT = "20260815"


def test_a_first_look_comes_first_and_what_grows_with_the_night_last():
    frames = {
        kind: SimpleNamespace(kind=kind, night=TONIGHT) for kind in ("spectrum", "arc", "bias")
    }
    old = SimpleNamespace(kind="spectrum", night="20260814")
    order = [
        INTERACTIVE,
        priority_of(frames["spectrum"], TONIGHT),
        priority_of(frames["arc"], TONIGHT),
        priority_of(frames["bias"], TONIGHT),
        priority_of(frames["spectrum"], TONIGHT, redo=True),
        priority_of(frames["spectrum"], TONIGHT, summary=True),
        priority_of(old, TONIGHT),
        priority_of(old, TONIGHT, summary=True),
    ]
    assert order == sorted(set(order))
    assert priority_of(frames["spectrum"], TONIGHT, redo=True, summary=True) == order[5]
