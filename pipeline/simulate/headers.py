"""Raw headers in the two spellings that Goodman has used: legacy, and AEON since August 2019."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from astropy.io.fits import Header

from goodman_live.pipeline.simulate.instrument import GRATING_NAMES
from goodman_live.pipeline.simulate.lamps import LAMPS

if TYPE_CHECKING:
    from goodman_live.pipeline.simulate.instrument import Setup

_EPOCH = datetime(2026, 8, 15, 23, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Log:
    """What the observer's software knows of one exposure."""

    obstype: str = "SPECTRUM"
    """AEON word: ``BIAS LAMPFLAT ARC SPECTRUM EXPOSE FOCUS``."""
    object_name: str = "target"
    exptime_s: float = 0.0
    start: datetime = _EPOCH
    """Opening of the shutter, UTC."""
    number: int = 1
    ra: str = "12:00:00.000"
    dec: str = "-30:00:00.00"
    airmass: float = 1.2
    posangle: float = 90.0
    proposal: str = "SOAR2026B-001"
    block: int | None = 401790163
    lamps: tuple[str, ...] = ()
    quartz: bool = False
    dome: bool = False
    file_name: str = ""
    """Name under which the frame was saved."""
    cam_foc: int = -1345
    """Setting of the camera's focus."""


_LEGACY_OBSTYPE = {"ARC": "COMP", "LAMPFLAT": "FLAT", "SPECTRUM": "OBJECT", "EXPOSE": "OBJECT"}
_LAMP_NAMES = {"HGA": "HgAr", "NE": "Ne", "AR": "Ar", "CU": "CuHeAr", "FE": "FeHeAr"}
_LAMP_TEXT = {"HGA": "Hg(Ar)", "NE": "Neon", "AR": "Argon", "FE": "Iron", "CU": "Copper"}


def raw_header(setup: Setup, log: Log) -> Header:
    """Return the header of a raw frame, without the structural cards that the writer adds."""
    header = Header()
    _times(header, log)
    _controller(header, setup)
    _telescope(header, log)
    _instrument(header, setup, log)
    _observation(header, setup, log)
    if setup.aeon:
        _aeon(header, log)
    header["COMMENT"] = f"Light, Exp Time= {log.exptime_s:06.3f}, Saved as: {log.file_name}"
    return header


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S.%f")[:-3]


def _times(header: Header, log: Log) -> None:
    software = log.start - timedelta(seconds=0.1)
    end = log.start + timedelta(seconds=log.exptime_s)
    header["DATE-OBS"] = (
        software.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
        "DATE-OBS Format: YYYY-MM-DDThh:mm:ss.sss",
    )
    header["DATE"] = (log.start.strftime("%Y-%m-%d"), "Date Format is YYYY-MM-DD")
    header["TIME"] = (f"{_clock(software)} to {_clock(end)}", "~ Start & Stop of Exposure")
    if log.exptime_s > 0:
        header["OPENTIME"] = (_clock(log.start) + "1234", "GPS-Synched Time for Shutter Open (UT)")
        header["OPENDATE"] = (log.start.strftime("%Y-%m-%d"), "GPS-Synched Date (UT)")
        header["CLOSETIM"] = (_clock(end) + "1234", "GPS-Synched Time for Shutter Close (UT)")


def _controller(header: Header, setup: Setup) -> None:
    region = setup.region
    if setup.camera.name == "Red":
        header["PG4_28"] = (50, "Serial Pre-Masked,")
        header["PG4_29"] = (4096, "Serial Active Pix.,")
        header["PG5_2"] = (1, "Gain, (High)")
        header["PG5_4"] = (setup.ybin, "Parallel Binning,")
        header["PG5_5"] = (region.ny, "Parallel Length,")
        header["PG5_6"] = (region.y0, "Parallel Origin,")
        header["PG5_9"] = (setup.xbin, "Serial Binning,")
        header["PG5_10"] = (region.nx, "Serial Length,")
        header["PG5_11"] = (region.x0, "Serial Origin,")
        return
    header["PG1_25"] = (16, "Serial Pre-Masked,")
    header["PG1_26"] = (4096, "Serial Active Pix.,")
    header["PG3_0"] = (region.x0, "Serial Origin, Pixels")
    header["PG3_1"] = (region.nx, "Serial Length, Binned Pixels")
    header["PG3_2"] = (setup.xbin, "Serial Binning, Pixels")
    header["PG3_4"] = (region.y0, "Parallel Origin, Pixels")
    header["PG3_5"] = (region.ny, "Parallel Length, Binned Pixels")
    header["PG3_6"] = (setup.ybin, "Parallel Binning, Pixels")


def _telescope(header: Header, log: Log) -> None:
    header["TELESCOP"] = "SOAR 4.1m"
    header["OBJECT"] = log.object_name
    header["RA"] = (log.ra, "right ascension [hh:mm:ss.sss]")
    header["DEC"] = (log.dec, "declination [dd:mm:ss.sss]")
    header["EQUINOX"] = (2000.0, "equinox of coordinates")
    header["OBSRA"] = (log.ra, "target right ascension [hh:mm:ss.sss]")
    header["OBSDEC"] = (log.dec, "target declination  [hh:mm:ss.sss]")
    header["AIRMASS"] = (log.airmass, "airmass at approx. start of exposure")
    header["UT"] = (_clock(log.start), "time at approx. start of exposure [UTC]")
    header["ROTATOR"] = (20.5, "Nasymth cage rotator angle [deg]")
    header["POSANGLE"] = (log.posangle, "position angle [deg. E of N]")
    header["MOUNT_AZ"] = (130.0, "SOAR mount azimuth")
    header["MOUNT_EL"] = (60.0, "SOAR mount elevation")
    header["SEEING"] = (0.9, "DIMM seeing [arcsec]")
    header["ADCSTAT"] = ("IN", "ADC Status")
    header["ENVPRE"] = (737.6, "Atmospheric Pressure [hPS]")
    header["ENVTEM"] = (12.7, "Outside Temperature [C]")
    header["ENVHUM"] = (26.1, "Relative Humidity")


def _instrument(header: Header, setup: Setup, log: Log) -> None:
    name = setup.camera.name
    imager = "_imager" if setup.mode is None else ""
    header["INSTRUME"] = f"ghts_{name.lower()}{imager}" if setup.aeon else "Goodman Spectro"
    header["INSTCONF"] = name
    header["CAMERA"] = "Si 1110-111" if name == "Red" else "Si 600-658 "
    cam_targ, grt_targ = (setup.mode.cam_targ, setup.mode.grt_targ) if setup.mode else (0.0, 0.0)
    header["CAM_ANG"] = (round(cam_targ + 2e-4, 6), "camera angle [deg]")
    header["GRT_ANG"] = (round(grt_targ - 1e-4, 6), "grating angle [deg]")
    header["CAM_TARG"] = (cam_targ, "camera target [deg]")
    header["GRT_TARG"] = (grt_targ, "grating target [deg]")
    header["CAM_FOC"] = (log.cam_foc, "camera focus")
    header["COLL_FOC"] = (1001, "collimator focus")
    header["FILTER"] = (_empty(setup.filter1, "FILTER", setup), "primary filter wheel")
    filter2 = setup.mode.filter2 if setup.mode else "NO_FILTER"
    header["FILTER2"] = (_empty(filter2, "FILTER", setup), "secondary filter wheel")
    header["GRATING"] = (_grating(setup), "VPH grating [1/mm]")
    header["SLIT"] = (_slit(setup), "slit [arcsec]")
    header["WAVMODE"] = (_wavmode(setup), "Wavelength")
    if not setup.aeon and log.number % 2:  # early legacy nights had no lamp cards
        return
    for lamp in LAMPS:
        header[f"LAMP_{lamp}"] = ("TRUE" if lamp in log.lamps else "FALSE", _LAMP_TEXT[lamp])
    header["LAMP_QUA"] = ("TRUE" if log.quartz else "FALSE", "Quartz")
    header["LAMP_QPE"] = (60.0 if log.quartz else 0.0, "Quartz Percent")
    header["LAMP_BUL"] = ("FALSE", "Bulb")
    header["LAMP_DOM"] = ("TRUE" if log.dome else "FALSE", "Dome")
    header["LAMP_DPE"] = (60.0 if log.dome else 0.0, "Dome Percent")


def _empty(value: str, what: str, setup: Setup) -> str:
    return f"<NO {what}>" if value == f"NO_{what}" and not setup.aeon else value


def _grating(setup: Setup) -> str:
    if setup.mode is None:
        return "NO_GRATING" if setup.aeon else "<NO GRATING>"
    name = GRATING_NAMES[setup.mode.lines_mm]
    if setup.aeon:
        return name
    digits, maker, *rest = name.split("_")
    return "-".join([f"{maker}_{digits}", *rest])


def _slit(setup: Setup) -> str:
    if setup.slit_arcsec is None:
        return "NO_MASK" if setup.aeon else "<NO MASK>"
    width = f"{setup.slit_arcsec:g}" if setup.slit_arcsec % 1 else f"{setup.slit_arcsec:.1f}"
    return f"{width}_LONG_SLIT" if setup.aeon else f'{width}" long slit'


def _wavmode(setup: Setup) -> str:
    if setup.mode is None:
        return "IMAGING" if setup.aeon else "Imaging "
    if setup.aeon:
        return setup.mode.name
    head, _, tail = setup.mode.name.partition("_")
    return f"{head} {tail.capitalize() if len(tail) > 2 else tail.lower()}".strip()


def _observation(header: Header, setup: Setup, log: Log) -> None:
    header["EXPTIME"] = (log.exptime_s, "integration time")
    header["RDNOISE"] = (setup.readout.rdnoise, "CCD readnoise [e-]")
    header["GAIN"] = (setup.readout.gain, "CCD gain [e-/ADU]")
    obstype = log.obstype if setup.aeon else _LEGACY_OBSTYPE.get(log.obstype, log.obstype)
    header["OBSTYPE"] = (obstype, "observation type")
    if not setup.aeon and log.obstype == "ARC":
        # pen lamps are named without the repeated gas: HgArNe, not HgAr+Ne
        header["OBJECT"] = "".join(_LAMP_NAMES[x] for x in log.lamps)
    header["PROPOSAL"] = "" if setup.aeon else log.proposal
    header["ROI"] = setup.region.name
    header["CCDSUM"] = f"{setup.xbin} {setup.ybin}"
    header["DISPAXIS"] = 1
    header["DETSIZE"] = "[1:4096,1:4096]"
    if setup.aeon and setup.mode is not None:
        first, last = -(-51 // setup.xbin), 4110 // setup.xbin
        header["TRIMSEC"] = f"[{first}:{last},2:{setup.region.ny}]"
    else:  # as wrong as the real ones
        header["TRIMSEC"] = f"[1:{setup.region.nx},1:{setup.region.ny * setup.ybin}]"


def _aeon(header: Header, log: Log) -> None:
    header["PROPID"] = log.proposal
    header["OBSID"] = 8092867 if log.block else 0
    header["CONFID"] = 527447025 if log.block else 0
    header["REQNUM"] = 2933769 if log.block else 0
    header["BLKUID"] = log.block or 0
    header["BLOCK_ID"] = 1656986719950437
    header["IMAGEID"] = str(log.number)
    header["SITEID"], header["TELID"] = "sor", "4m0a"
    header["RLEVEL"] = 0
    header["HEADERVE"] = "1.0.2"
