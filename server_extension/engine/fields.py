"""Images get their coordinates and magnitudes, where a star catalogue is configured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from goodman_live.pipeline.settings import STAR_CATALOGUE, STAR_SERVICE
from goodman_live.server_extension.engine import blocks, jobs
from goodman_live.server_extension.engine.drafts import draft_other

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.models import Frame
    from goodman_live.server_extension.engine.draft import Draft


def draft_field(session: Session, raw: Frame, reduction: Draft) -> Draft | None:
    """Return the astrometric solution of an image, once it is reduced.

    Parameters
    ----------
    raw : Frame
        Raw frame.
    reduction : Draft
        The reduction that it has now: its product is solved, not an older solution of it.

    Returns
    -------
    Draft or None
        None where there is no star catalogue, or the frame is no direct image.
    """
    configured = os.environ.get(STAR_CATALOGUE) or os.environ.get(STAR_SERVICE)
    if not configured or raw.technique != "Imaging":
        return None
    job = jobs.find_equal(session, reduction)
    made = jobs.products_of(session, job) if job is not None else []
    reduced = next((frame for frame in made if not frame.role), None)
    if reduced is None:
        return None
    return draft_other(session, blocks.ASTROMETRY, reduced)
