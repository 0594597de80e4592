"""What a night still waits for, each once, and only of what the reader may see."""

from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Frame
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER, load_viewer
from goodman_live.server_extension.night import night_of

FLATS = "4 of 10 flat frames of Red 2x2 400_M2 for a master."
ARC = "No arc for Red 2x2 400_SYZY 400_M2."


def test_each_missing_thing_is_told_once_to_who_may_see_its_frames(tmp_path):
    url = f"sqlite:///{tmp_path}/goodman.sqlite"
    migrate(url)
    catalogue = Catalogue(url)
    rows = [("calibrate", FLATS, "waiting")] * 4
    rows += [("A", ARC, "waiting"), ("B", ARC, "waiting"), ("B", "It was cancelled.", "waiting")]
    rows += [("A", "", "done"), ("A", "Overwritten.", "replaced")]
    with catalogue.write() as session:
        pi = User(username="pi", email="pi@example.org")
        session.add_all([pi, Proposal(soar_id="A", pi=pi), Proposal(soar_id="B")])
        for number, (proposal, text, state) in enumerate(rows):
            session.add(
                Frame(
                    file_name=f"{number}.fits",
                    directory_name="/raw",
                    night="20260815",
                    proposal_id=proposal,
                    waits_for=text,
                    state=state,
                )
            )
    with catalogue.read() as session:
        for viewer, expected in (
            (LOCAL_OWNER, [(FLATS, 4), (ARC, 2), ("It was cancelled.", 1)]),
            (load_viewer(session, "pi"), [(FLATS, 4), (ARC, 1)]),
        ):
            told = night_of(session, viewer, "").missing
            assert [(one.text, one.count) for one in told] == expected
    catalogue.close()
