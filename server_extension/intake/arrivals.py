"""What intake writes into the catalogue, each as one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from goodman_live.hub.accounts.models import utc_now
from goodman_live.server_extension.catalogue.facts import facts_of, repairs_of
from goodman_live.server_extension.catalogue.models import (
    Arrival,
    Frame,
    HeaderCards,
    LatencyStamp,
    LogEntry,
)
from goodman_live.server_extension.catalogue.reading import by_index
from goodman_live.server_extension.engine.events import append_event, frame_event
from goodman_live.server_extension.engine.latency import (
    FRAMES_TAKEN,
    shutter_closed,
    stamp,
)
from goodman_live.server_extension.intake.places import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.intake.examine import Seen
    from goodman_live.server_extension.intake.places import Stat


def record_frame(session: Session, seen: Seen) -> tuple[Frame, bool]:
    """Put a whole file into the catalogue; return its frame, and whether it is new.

    The same content is one frame: under a new name where the old one is gone it was renamed,
    else it is a duplicate. New content under an old name is a new version.
    """
    twin = _twin(session, seen.checksum)
    if twin is not None:
        _note_twin(session, seen, twin)
        return twin, False
    here = session.scalars(
        select(Frame)
        .where(
            Frame.directory_name == str(seen.path.parent),
            Frame.file_name == seen.path.name,
            Frame.data_type == 0,
        )
        .order_by(Frame.version.desc())
    ).all()
    if (
        here
        and here[0].is_current
        and seen.checksum is None
        and is_known(session, seen.path, seen.stat)
    ):
        return here[0], False
    frame = _new_frame(session, seen, version=here[0].version + 1 if here else 1)
    for old in here:
        if old.is_current:
            old.is_current, old.state = False, "replaced"
            old.waits_for = "Its file was overwritten; a newer version took its place."
            frame_event(session, "frame.state", old)
    _note(session, seen.path, seen.stat, "taken", frame_id=frame.id)
    _tell_added(session, frame)
    return frame, True


def _tell_added(session: Session, frame: Frame) -> None:
    frame_event(session, "frame.added", frame, kind_of_frame=frame.kind, technique=frame.technique)
    FRAMES_TAKEN.labels("taken").inc()


def is_known(session: Session, path: Path, stat: Stat) -> bool:
    """Tell whether a path was dealt with as it is now."""
    arrival = session.scalar(select(Arrival).where(Arrival.path == listed(path)))
    return arrival is not None and (arrival.size, arrival.mtime_ns) == (stat.size, stat.mtime_ns)


def _twin(session: Session, checksum: str | None) -> Frame | None:
    if checksum is None:
        return None
    return session.scalar(
        select(Frame)
        .where(Frame.checksum == checksum, Frame.data_type == 0)
        .order_by(Frame.is_current.desc(), Frame.id.desc())
        .limit(1)
    )


def _new_frame(session: Session, seen: Seen, *, version: int) -> Frame:
    frame = _frame_of(seen, version=version)
    session.add(frame)
    session.flush()
    _add_parts(session, frame, seen)
    session.flush()
    return frame


def _frame_of(seen: Seen, *, version: int) -> Frame:
    frame = Frame(
        file_name=seen.path.name,
        directory_name=str(seen.path.parent),
        size=seen.stat.size,
        checksum=seen.checksum,
        data_type=0,
        version=version,
        state="new",
        **facts_of(seen.info),
    )
    frame.repairs = repairs_of(seen.info.repairs)
    return frame


def _add_parts(session: Session, frame: Frame, seen: Seen) -> None:
    """Add header and first stamps of a frame that has its id."""
    session.add(HeaderCards(frame_id=frame.id, text=seen.header))
    stages = {"whole": seen.whole}
    shutter = shutter_closed(frame)
    if shutter is not None:
        stages["shutter"] = shutter
    for stage, at in stages.items():
        session.add(LatencyStamp(frame_id=frame.id, stage=stage, at=at))
    stamp(session, frame, "catalogued", known=stages)


def _note_twin(session: Session, seen: Seen, twin: Frame) -> None:
    if twin.path == seen.path:
        if not twin.is_current:
            _restore(session, twin)
        elif twin.state == "failed":
            twin.state = "new"  # its file may have been what it lacked: it is planned again
        _note(session, seen.path, seen.stat, "taken", frame_id=twin.id)
    elif twin.path.exists() and twin.is_current:
        text = f"The same content as {twin.file_name}."
        _note(session, seen.path, seen.stat, "duplicate", frame_id=twin.id, reason=text)
        FRAMES_TAKEN.labels("duplicate").inc()
    else:
        session.execute(delete(Arrival).where(Arrival.path == twin.full_path))
        twin.directory_name, twin.file_name = str(seen.path.parent), seen.path.name
        if not twin.is_current:
            _restore(session, twin)
        _note(session, seen.path, seen.stat, "taken", frame_id=twin.id)
        frame_event(session, "frame.changed", twin, renamed=True)


def _restore(session: Session, frame: Frame) -> None:
    """Make an overwritten frame current again whose content has come back."""
    others = session.scalars(
        select(Frame).where(
            Frame.directory_name == frame.directory_name,
            Frame.file_name == frame.file_name,
            Frame.data_type == 0,
            Frame.is_current,
        )
    )
    for other in others:
        other.is_current, other.state = False, "replaced"
        other.waits_for = "Its file was overwritten."
    frame.is_current, frame.state, frame.waits_for = True, "new", ""
    frame_event(session, "frame.changed", frame, restored=True)


def confirm_checksums(session: Session, found: Sequence[tuple[int, Stat, str]]) -> list[Frame]:
    """Give frames of a backlog their checksums; return those that are not known already."""
    frames = [_confirm_checksum(session, *item) for item in found]
    return [frame for frame in frames if frame is not None]


def _confirm_checksum(session: Session, frame_id: int, stat: Stat, checksum: str) -> Frame | None:
    frame = session.get(Frame, frame_id)
    if frame is None:
        return None
    twin = _twin(session, checksum)
    if twin is None or twin.id == frame.id:
        frame.checksum = checksum
        return frame
    path = frame.path
    frame_event(session, "product.removed", frame)
    session.delete(frame)
    session.flush()
    text = f"The same content as {twin.file_name}."
    _note(session, path, stat, "duplicate", frame_id=twin.id, reason=text)
    return None


def record_rejection(session: Session, path: Path, stat: Stat, reason: str) -> None:
    """List a file that cannot be taken, with the reason; it is tried again if it changes."""
    path = Path(listed(path))
    before = session.scalar(select(Arrival).where(Arrival.path == str(path)))
    if (
        before is not None
        and before.state == "rejected"
        and (before.size, before.mtime_ns, before.reason) == (stat.size, stat.mtime_ns, reason)
    ):
        return
    _note(session, path, stat, "rejected", reason=reason)
    append_event(session, "frame.rejected", file_name=path.name, reason=reason)
    session.add(LogEntry(level="warning", source="intake", message=reason, data_type=0))
    FRAMES_TAKEN.labels("rejected").inc()


def record_disk(session: Session, reason: str) -> None:
    """Tell staff that intake waits for space and why, or, with an empty reason, goes on."""
    message = reason or "There is space again: intake goes on."
    level = "error" if reason else "info"
    session.add(LogEntry(level=level, source="intake", message=message, data_type=0))


def _note(
    session: Session,
    path: Path,
    stat: Stat,
    state: str,
    *,
    frame_id: int | None = None,
    reason: str = "",
) -> None:
    arrival = session.scalar(select(Arrival).where(Arrival.path == str(path)))
    _fill(arrival or _new_arrival(session, path), stat, state, frame_id=frame_id, reason=reason)
    session.flush()


def _new_arrival(session: Session, path: Path) -> Arrival:
    arrival = Arrival(path=str(path), tries=0)
    session.add(arrival)
    return arrival


def _fill(
    arrival: Arrival, stat: Stat, state: str, *, frame_id: int | None = None, reason: str = ""
) -> None:
    arrival.size, arrival.mtime_ns = stat.size, stat.mtime_ns
    arrival.state, arrival.reason, arrival.last_seen = state, reason, utc_now()
    arrival.frame_id = frame_id
    arrival.tries = (arrival.tries or 0) + 1


def known_paths(session: Session) -> dict[str, tuple[int, int]]:
    """Return size and time of every path as it was last dealt with."""
    rows = session.execute(select(Arrival.path, Arrival.size, Arrival.mtime_ns)).all()
    return {path: (size, mtime_ns) for path, size, mtime_ns in rows}


def without_checksum(session: Session) -> list[tuple[int, Path]]:
    """Return the raw frames whose checksum is still to be read, newest night first."""
    query = by_index(
        select(Frame.id, Frame.directory_name, Frame.file_name), "ix_frames_checksum"
    ).where(Frame.checksum.is_(None), Frame.data_type == 0, Frame.is_current)
    rows = session.execute(query.order_by(Frame.night.desc(), Frame.id)).all()
    return [(key, Path(folder) / name) for key, folder, name in rows]


def record_batch(session: Session, batch: Sequence[Seen]) -> list[Frame]:
    """Put the frames of a backlog into the catalogue, checksums to follow; return the new ones."""
    here = {(str(seen.path.parent), seen.path.name): seen for seen in batch}
    rows = session.execute(
        select(Frame.directory_name, Frame.file_name).where(
            Frame.directory_name.in_({folder for folder, _ in here}),
            Frame.file_name.in_({name for _, name in here}),
            Frame.data_type == 0,
        )
    )
    known = {(row.directory_name, row.file_name) for row in rows}
    fresh = [seen for place, seen in here.items() if place not in known]
    again = [record_frame(session, seen) for place, seen in here.items() if place in known]
    return [*_add_fresh(session, fresh), *(frame for frame, new in again if new)]


def _add_fresh(session: Session, batch: Sequence[Seen]) -> list[Frame]:
    """Add frames at places where there was none: all rows of one table at once."""
    pairs = [(_frame_of(seen, version=1), seen) for seen in batch]
    session.add_all([frame for frame, _ in pairs])
    session.flush()
    paths = [str(seen.path) for seen in batch]
    arrivals = {
        row.path: row for row in session.scalars(select(Arrival).where(Arrival.path.in_(paths)))
    }
    for frame, seen in pairs:
        _add_parts(session, frame, seen)
        arrival = arrivals.get(str(seen.path)) or _new_arrival(session, seen.path)
        _fill(arrival, seen.stat, "taken", frame_id=frame.id)
        _tell_added(session, frame)
    session.flush()
    return [frame for frame, _ in pairs]
