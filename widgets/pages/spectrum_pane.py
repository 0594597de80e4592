"""Feeds the spectra of the Advanced page: the one shown, others over it, arc and line fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.errors import ClientError
from goodman_live.widgets.client.records import DataType
from goodman_live.widgets.components.line_lists import lines
from goodman_live.widgets.components.plots import Curves
from goodman_live.widgets.pages import words

if TYPE_CHECKING:
    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.client.records import File
    from goodman_live.widgets.pages.tasks import Tasks

SPECTRA = frozenset({DataType.EXTRACTED, DataType.WAVELENGTH, DataType.FLUX})
"""Data types that are spectra."""
MOST = 6
"""Spectra in one figure; each has a colour of its own."""
OFFERED = 80
"""Spectra that are offered to lay over; those of the same object first."""


class SpectrumPane:
    """The spectra of the Advanced page.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    tasks : Tasks
        Where background work runs.
    """

    def __init__(self, client: AsyncClient, tasks: Tasks) -> None:
        self._client = client
        self._tasks = tasks
        self._file: File | None = None
        self._family: list[File] = []
        self.widget = Curves(lines=lines())
        self.widget.when("fit", lambda value: tasks.start("fit", self._fit(value)))
        self.widget.when("forget", lambda _: self._forget())
        self.widget.when("arc", lambda _: tasks.start("arc", self._arc()))
        self.widget.when("add", lambda value: tasks.also("add", self._add(value)))
        self.widget.when("drop", self._drop)

    async def show(self, file: File, family: list[File], also: tuple[int, ...] = ()) -> None:
        """Show a spectrum; what lay over another one of the same kind stays."""
        spectrum = await self._read(file)
        before, self._file, self._family = self._file, file, family
        # Whatever was laid over or put away while it was read counts.
        same = before is not None and before["data_type"] == file["data_type"]
        over = [one for one in self.widget.spectra[1:] if same and one["id"] != file["id"]]
        if before is None or before["id"] != file["id"]:
            self.widget.fit, self.widget.arc = {}, {}
        self.widget.spectra = [spectrum, *over]
        for number in also:
            await self._add(number)
        self._tasks.start("candidates", self._offer(file))

    async def _read(self, file: File) -> dict[str, Any]:
        told = await self._client.spectrum(file["id"])
        return {
            "id": file["id"],
            "label": label(file),
            "x": told["x"]["values"],
            "y": told["y"]["values"],
            "uncertainty": told["uncertainty"],
            "sky": told["sky"],
            "x_name": told["x"]["name"],
            "x_unit": told["x"]["unit"],
            "y_name": told["y"]["name"],
            "y_unit": told["y"]["unit"],
        }

    async def _offer(self, file: File) -> None:
        """Offer spectra of the same step: of this object first, of any night, then the others."""
        asked = {"data_type": file["data_type"], "page_size": OFFERED}
        own = await self._client.files(**asked, object=file.get("object") or None)
        newest = await self._client.files(**asked)
        found: dict[int, File] = {}
        for one in [*own["results"], *newest["results"]]:
            kind = one["data_type"] in SPECTRA
            if kind and not one.get("role") and one["id"] != file["id"]:
                found.setdefault(one["id"], one)
        if self._shows(file):
            # What was replaced comes last; the order is kept otherwise.
            rows = sorted(found.values(), key=lambda one: not one.get("is_current", True))
            self.widget.candidates = [
                {"id": one["id"], "label": label(one)} for one in rows[:OFFERED]
            ]

    async def _add(self, number: Any) -> None:
        shown = [one["id"] for one in self.widget.spectra]
        if number in shown or len(shown) >= MOST:
            return
        try:
            file = await self._client.file(int(number))
            if file["data_type"] not in SPECTRA:
                return
            spectrum = await self._read(file)
        except ClientError as error:
            self.widget.fit = {"message": str(error)}
            return
        shown = self.widget.spectra  # others may have come meanwhile
        if number in {one["id"] for one in shown} or not 0 < len(shown) < MOST:
            return
        if spectrum["x_unit"] == shown[0]["x_unit"]:
            self.widget.spectra = [*shown, spectrum]

    def _drop(self, number: Any) -> None:
        first, others = self.widget.spectra[:1], self.widget.spectra[1:]
        self.widget.spectra = [*first, *(one for one in others if one["id"] != number)]

    def _shows(self, file: File) -> bool:
        return self._file is not None and self._file["id"] == file["id"]

    async def _fit(self, asked: Any) -> None:
        file = self._file
        if file is None:
            return
        try:
            found = await self._client.line(file["id"], float(asked["low"]), float(asked["high"]))
        except ClientError as error:
            found = {"message": str(error)}
        if self._shows(file):
            self.widget.fit = found

    def _forget(self) -> None:
        self.widget.fit = {}

    async def _arc(self) -> None:
        """Lay the lamp's spectrum under the target's, as the wavelength step saw it."""
        file = self._file
        calibrated = [
            one
            for one in self._family
            if one["data_type"] == DataType.WAVELENGTH and not one.get("role")
        ]
        target = None if file is None else file.get("target")
        fitting = [one for one in calibrated if one.get("target") == target] or calibrated
        if file is None or not fitting:
            return
        told = await self._client.diagnostics(fitting[-1]["id"])
        arc = told["data"].get("arc")
        if self._shows(file) and arc:
            self.widget.arc = {"x": arc["wavelength_aa"], "y": arc["flux"]}


def label(file: File) -> str:
    """Return a spectrum's name in a legend: object, night, target and step."""
    parts = [
        file.get("object") or file["file_name"],
        words.night(file.get("night") or ""),
        f"target {file['target']}" if (file.get("target") or 1) > 1 else "",
        file["file_name"].split("_")[1] if file["file_name"].count("_") > 1 else "",
        "" if file.get("is_current", True) else f"v{file.get('version', 1)}, replaced",
    ]
    return " · ".join(part for part in parts if part)
