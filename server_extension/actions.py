"""What people have done to a file: each block under the path of the public service.

A route exists for each block that this installation has, and for no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Optional

from pydantic import Field, create_model

from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.server_extension.catalogue.errors import ConflictError
from goodman_live.server_extension.catalogue.work import LIVE_STATES
from goodman_live.server_extension.engine.blocks import (
    ACQUISITION,
    ASTROMETRY,
    BIAS,
    EXTRACT,
    FLAT,
    FLUX,
    FLUX_STACK,
    FOCUS,
    FRAME_STACK,
    REDUCE,
    STACK,
    WAVELENGTH,
    Block,
    is_available,
)
from goodman_live.server_extension.files import chosen_id
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.jobs import job_model
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import JobModel
from goodman_live.server_extension.selection import FileChoice, chosen

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer

LONGEST_WAIT_S = 300

_OPTIONAL: dict[str, Any] = {
    name: (Optional[item.annotation], Field(None, description=item.description or ""))  # noqa: UP045
    for name, item in ReductionSettings.model_fields.items()
}
Overrides: Any = create_model(
    "Overrides",
    __base__=Strict,
    __doc__="Settings other than the proposal's, for this run alone.",
    **_OPTIONAL,
)


class WaitQuery(Strict):
    """How long to hold the answer."""

    wait: float = Field(
        0.0, ge=0, le=LONGEST_WAIT_S, description="Seconds to wait for the end of the job."
    )


class BlockRun(FileChoice, Overrides):
    """A file of the family, and settings for this run; either flat or under ``settings``."""

    settings: Overrides | None = Field(None, description="The same settings in one object.")

    def overrides(self) -> dict[str, Any]:
        """Return the settings that were given, by name."""
        nested = self.settings.model_dump(exclude_none=True) if self.settings else {}
        names = set(Overrides.model_fields)
        return {**nested, **self.model_dump(include=names, exclude_none=True)}


class ApertureModel(Strict):
    """An aperture placed by hand, in unbinned readout rows."""

    row: float = Field(allow_inf_nan=False, description="Centre at `column`.")
    lower: float | None = Field(
        None, allow_inf_nan=False, description="Lower edge from the trace, negative."
    )
    upper: float | None = Field(
        None, allow_inf_nan=False, description="Upper edge from the trace, positive."
    )
    zones: list[tuple[float, float]] = Field(
        default_factory=list, max_length=8, description="Background zones from the trace."
    )
    column: float | None = Field(
        None, allow_inf_nan=False, description="Where `row` holds; default the middle."
    )
    follow: Literal["auto", "own", "borrow", "straight"] = "auto"


class ExtractRun(BlockRun):
    """A file of the family, settings, and apertures placed by hand."""

    apertures: list[ApertureModel] | None = Field(
        None, min_length=1, max_length=20, description="Default: targets are found."
    )


class BlockHandler(ApiHandler):
    """Base: submit a block, wait if asked, answer with the job."""

    async def submit(self, block: Block, body: BlockRun, wait_s: float) -> None:
        """Queue `block` and answer 202 with the job, 201 if it is done."""
        frame_id = await self.backend.read(chosen_id, self.viewer, body)
        apertures = getattr(body, "apertures", None)
        job = await self.backend.engine.submit(
            block.name,
            frame_id,
            user=self.viewer,
            overrides=body.overrides() or None,
            apertures=[one.model_dump() for one in apertures] if apertures else None,
        )
        if wait_s and job.state in LIVE_STATES:
            job = await self.backend.engine.wait(job.id, wait_s)
        answer = await self.backend.read(job_model, self.viewer, job.id)
        self.answer(answer, 201 if answer.status == "done" else 202)


def block_handler(block: Block, identifier: str, summary: str, body: type[BlockRun]) -> Any:
    """Return the handler of a block."""

    class Handler(BlockHandler):
        @operation(
            id=identifier,
            summary=summary,
            tag="blocks",
            query=WaitQuery,
            body=body,
            answer=JobModel,
            status=202,
            also=(201,),
            errors=(404, 409, 422),
            description="On what you may see but not change, the run makes a private version.",
        )
        async def post(self, query: WaitQuery, body: BlockRun) -> None:
            """Run the block on a file of its family."""
            await self.submit(block, body, query.wait)

    Handler.__name__ = Handler.__qualname__ = f"{block.name.title().replace('_', '')}Handler"
    return Handler


_BLOCKS = (
    ("/api/files/reduce/", REDUCE, "api_files_reduce_create", "Reduce", BlockRun),
    (
        "/api/files/spectrum/extract/",
        EXTRACT,
        "api_files_spectrum_extract_create",
        "Extract spectra",
        ExtractRun,
    ),
    (
        "/api/files/spectrum/calibrate/wavelength/",
        WAVELENGTH,
        "api_files_spectrum_calibrate_wavelength_create",
        "Calibrate the wavelengths",
        BlockRun,
    ),
    (
        "/api/files/spectrum/calibrate/flux/",
        FLUX,
        "api_files_spectrum_calibrate_flux_create",
        "Calibrate the flux",
        BlockRun,
    ),
    (
        "/api/files/image/astrometry/",
        ASTROMETRY,
        "api_files_image_astrometry_create",
        "Solve the astrometry",
        BlockRun,
    ),
    (
        "/api/files/image/acquisition/",
        ACQUISITION,
        "api_files_image_acquisition_create",
        "Measure slit and target of an acquisition image",
        BlockRun,
    ),
    (
        "/api/files/focus/",
        FOCUS,
        "api_files_focus_create",
        "Measure the focus run of a focus frame",
        BlockRun,
    ),
)

HANDLERS: dict[str, Any] = {
    path: block_handler(block, identifier, summary, body)
    for path, block, identifier, summary, body in _BLOCKS
    if is_available(block)
}
"""Path to handler, for each block that is part of this installation."""


class CalibrationsHandler(BlockHandler):
    """Masters."""

    @operation(
        id="api_files_calibrations_create",
        summary="Build a master from the group of a raw bias or flat",
        tag="blocks",
        query=WaitQuery,
        body=BlockRun,
        answer=JobModel,
        status=202,
        also=(201,),
        errors=(404, 409, 422),
        description="Staff build the master that all share; members one for themselves.",
    )
    async def post(self, query: WaitQuery, body: BlockRun) -> None:
        """Combine the frames of the same configuration and night."""
        block = await self.backend.read(master_block, self.viewer, body)
        await self.submit(block, body, query.wait)


class StackHandler(BlockHandler):
    """Stacks."""

    @operation(
        id="api_files_spectrum_stack_create",
        summary="Combine a spectrum or frame with the exposures of its target before it",
        tag="blocks",
        query=WaitQuery,
        body=BlockRun,
        answer=JobModel,
        status=202,
        also=(201,),
        errors=(404, 409, 422),
        description="Exposures of one night and set-up. A flux-calibrated file stacks fluxes, a "
        "reduced one frames in two dimensions, any other of the family spectra with wavelengths.",
    )
    async def post(self, query: WaitQuery, body: BlockRun) -> None:
        """Combine repeated exposures."""
        block = await self.backend.read(stack_block, self.viewer, body)
        await self.submit(block, body, query.wait)


def stack_block(session: Session, viewer: Viewer, choice: FileChoice) -> Block:
    """Return the block that stacks what is of the kind of a file."""
    kinds = {FLUX.makes: FLUX_STACK, REDUCE.makes: FRAME_STACK}
    return kinds.get(chosen(session, viewer, choice).data_type, STACK)


def master_block(session: Session, viewer: Viewer, choice: FileChoice) -> Block:
    """Return the block that combines the group of a raw frame.

    Raises
    ------
    ConflictError
        If it is neither a bias nor a flat.
    """
    frame = chosen(session, viewer, choice)
    blocks = {"bias": BIAS, "flat": FLAT}
    if frame.data_type != 0 or frame.kind not in blocks:
        raise ConflictError(
            f"{frame.file_name} is no raw bias or flat.", remedy="Give one.", field="id"
        )
    return blocks[frame.kind]
