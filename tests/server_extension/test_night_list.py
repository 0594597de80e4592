"""What a night waits for, points with and makes do with, of what the reader may see."""

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


def test_pointing_and_makeshift_are_told_however_many_products_the_night_has(tmp_path):
    url = f"sqlite:///{tmp_path}/goodman.sqlite"
    migrate(url)
    catalogue = Catalogue(url)
    usual = {"directory_name": "/products", "night": "20260815", "camera": "Red"}

    def product(number, **more):
        return Frame(file_name=f"{number}.fits", data_type=2, **usual, **more)

    with catalogue.write() as session:
        pi = User(username="pi", email="pi@example.org")
        raw = Frame(file_name="raw.fits", proposal_id="A", **usual)
        session.add_all([pi, Proposal(soar_id="A", pi=pi), Proposal(soar_id="B"), raw])
        session.flush()
        of_one = {"proposal_id": "A", "original_id": raw.id, "provisional": True}
        rows = [product(1, proposal_id="A", role="focus", is_current=False)]
        rows += [product(2, proposal_id="A", role="focus")]
        rows += [product(3, proposal_id="B", role="acquisition")]
        rows += [product(4, **of_one), product(5, **of_one)]
        rows += [product(6, proposal_id="B", provisional=True, xbin=2, ybin=2)]
        rows += [product(number, proposal_id="A") for number in range(7, 700)]
        session.add_all(rows)
    with catalogue.read() as session:
        for viewer, pointing, makeshift in (
            (LOCAL_OWNER, ["3.fits", "2.fits"], [("1x1", 1), ("2x2", 1)]),
            (load_viewer(session, "pi"), ["2.fits"], [("1x1", 1)]),
        ):
            told = night_of(session, viewer, "20260815")
            assert [one.file_name for one in told.pointing] == pointing
            assert [(one.binning, one.count) for one in told.makeshift] == makeshift
    catalogue.close()
