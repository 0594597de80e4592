"""The header doctor on real headers of 2016 to 2019 and on every known defect."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime

import pytest
from astropy.io import fits

from goodman_live.pipeline.core.errors import BadHeaderError
from goodman_live.pipeline.core.frame import Window
from goodman_live.pipeline.core.header import describe
from goodman_live.pipeline.core.info import Kind, Technique
from goodman_live.pipeline.products.fits import read_info

SHAPE = (948, 2071)


def doctor(header, shape=SHAPE, name="0001_x.fits"):
    return describe(header, file_name=name, shape=shape)


def mended(info):
    return {repair.keyword: repair for repair in info.repairs}


SPECTRO = Technique.SPECTROSCOPY
IMAGING = Technique.IMAGING
BLUE_STRIP = Window(0, 1800, 4142, 500)
RED_1X2 = Window(0, 1100, 4142, 948, 1, 2)
STRIP = Window(0, 1850, 4142, 400)

REAL = {
    # name: camera, kind, technique, night, window, mode, grating, slit, lamps
    "goodman_2016.fits": (
        "Blue", Kind.ARC, SPECTRO, "20161030", Window(0, 1100, 4142, 1896),
        "600_BLUE", "600_SYZY_OLD", "1.03_LONG_SLIT", {"CU"},
    ),
    "goodman_blue_acq.fits": (
        "Blue", Kind.ACQUISITION, IMAGING, "20180308", Window(1850, 1100, 400, 1896),
        "CUSTOM", "NO_GRATING", "0.45_LONG_SLIT", set(),
    ),
    "goodman_blue_bias.fits": (
        "Blue", Kind.BIAS, SPECTRO, "20170704", BLUE_STRIP,
        "600_BLUE", "600_SYZY_OLD", "1.03_LONG_SLIT", set(),
    ),
    "goodman_blue_comp.fits": (
        "Blue", Kind.ARC, SPECTRO, "20180308", Window(0, 1100, 4142, 1896),
        "400_M1", "400_SYZY", "1.5_LONG_SLIT", {"HGA"},
    ),
    "goodman_blue_flat.fits": (
        "Blue", Kind.FLAT, SPECTRO, "20170704", BLUE_STRIP,
        "600_BLUE", "600_SYZY_OLD", "1.03_LONG_SLIT", set(),
    ),
    "goodman_blue_imag.fits": (
        "Blue", Kind.ACQUISITION, IMAGING, "20180317", Window(0, 980, 2071, 1048, 2, 2),
        "IMAGING", "NO_GRATING", "SLICER_B.4", set(),
    ),
    "goodman_blue_spec.fits": (
        "Blue", Kind.SPECTRUM, SPECTRO, "20170704", BLUE_STRIP,
        "600_BLUE", "600_SYZY_OLD", "1.03_LONG_SLIT", set(),
    ),
    "goodman_red_bias.fits": (
        "Red", Kind.BIAS, SPECTRO, "20180319", RED_1X2,
        "CUSTOM", "400_SYZY", "0.45_LONG_SLIT", set(),
    ),
    "goodman_red_comp.fits": (
        "Red", Kind.ARC, SPECTRO, "20180319", RED_1X2,
        "CUSTOM", "400_SYZY", "0.45_LONG_SLIT", {"HGA", "NE"},
    ),
    "goodman_red_flat.fits": (
        "Red", Kind.FLAT, SPECTRO, "20180319", RED_1X2,
        "CUSTOM", "400_SYZY", "0.45_LONG_SLIT", set(),
    ),
    "goodman_red_imag.fits": (
        "Red", Kind.IMAGE, IMAGING, "20180226", Window(530, 388, 1548, 1548, 2, 2),
        "IMAGING", "NO_GRATING", "NO_MASK", set(),
    ),
    "goodman_red_spec.fits": (
        "Red", Kind.SPECTRUM, SPECTRO, "20180319", RED_1X2,
        "CUSTOM", "400_SYZY", "0.45_LONG_SLIT", set(),
    ),
    "im_g_SDSS.fits": (
        "Red", Kind.FOCUS, IMAGING, "20190515", STRIP,
        "IMAGING", "NO_GRATING", "0.45_LONG_SLIT", set(),
    ),
    "sp_400m1.fits": (
        "Red", Kind.FOCUS, SPECTRO, "20190515", STRIP,
        "400_M1", "400_SYZY", "0.45_LONG_SLIT", {"HGA", "NE"},
    ),
}  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(REAL))
def test_every_real_header_is_read_mended_and_classified(real_frames, name):
    info = read_info(real_frames / name)
    found = (info.camera, info.kind, info.technique, info.night, info.window)
    found += (info.wavmode, info.grating, info.slit, set(info.lamps))
    assert found == REAL[name]
    assert info.ra_deg is not None
    assert info.dec_deg is not None


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "start", "mid"),
    [
        ("goodman_red_spec.fits", "2018-03-20T01:42:19.237983", "2018-03-20T01:43:19.192381"),
        # OPENDATE of this frame is a year late
        ("goodman_blue_acq.fits", "2018-03-09T01:25:29.096511", "2018-03-09T01:25:39.050792"),
        # no GPS times at all
        ("goodman_red_bias.fits", "2018-03-19T19:44:27.523000", "2018-03-19T19:44:27.523000"),
    ],
)
def test_real_exposures_are_timed_by_gps(real_frames, name, start, mid):
    info = read_info(real_frames / name)
    assert info.start.replace(tzinfo=None).isoformat(timespec="microseconds") == start
    assert info.mid.replace(tzinfo=None).isoformat(timespec="microseconds") == mid


@pytest.mark.real
def test_2016_header_names_what_it_lacks(real_frames):
    repairs = mended(read_info(real_frames / "goodman_2016.fits"))
    assert repairs["INSTCONF"].used == "Blue"
    assert repairs["WAVMODE"].used == "600_BLUE"
    assert repairs["ROI"].used == "Spectroscopic 1x1"
    assert repairs["LAMP_*"].used == "CU"
    assert repairs["NAXIS1,NAXIS2"].found == "2 x 1896"


def test_present_day_header_needs_no_repair(raw_header):
    info = doctor(raw_header())
    assert info.repairs == ()
    assert info.kind is Kind.SPECTRUM
    assert info.window == Window(0, 1100, 2071, 948, 2, 2)
    assert info.saturation == 69257
    assert info.slit_arcsec == 1.0
    assert info.observation_id == 8092867
    assert info.block_id == 401790163
    assert info.image_id == 119300
    assert info.proposal_id == "SOAR2023A-009"
    assert info.night == "20230704"
    assert info.public_date == datetime(2024, 1, 3, 2, 27, 55, 337838, tzinfo=UTC)
    assert math.isclose(info.ra_deg, 210.9106666667)
    assert math.isclose(info.dec_deg, -27.3116944444)


def test_declination_between_zero_and_minus_one_keeps_its_sign(raw_header):
    info = doctor(raw_header(OBSDEC="-00:25:23.2"))
    assert math.isclose(info.dec_deg, -0.4231111111, abs_tol=1e-9)
    assert info.obsdec == "-00:25:23.200"


@pytest.mark.parametrize(
    ("found", "used", "degrees"),
    [("17:23:60.000", "17:24:00.000", 261.0), ("23:59:60.0", "00:00:00.000", 0.0)],
)
def test_sixty_seconds_are_carried(raw_header, found, used, degrees):
    info = doctor(raw_header(OBSRA=found))
    assert info.obsra == used
    assert math.isclose(info.ra_deg, degrees, abs_tol=1e-9)


def test_unpadded_declination(raw_header):
    info = doctor(raw_header(OBSDEC="-2:48:33.6"))
    assert info.obsdec == "-02:48:33.600"
    assert math.isclose(info.dec_deg, -2.8093333333)


def test_position_falls_back_to_the_mount_and_then_to_none(raw_header):
    info = doctor(raw_header(OBSRA="", RA="01:00:00.0", OBSDEC="nonsense"))
    assert math.isclose(info.ra_deg, 15.0)
    assert mended(info)["OBSRA"].reason.endswith("taken from RA.")
    assert (info.dec_deg, info.obsdec) == (None, "")


def test_undefined_cards_are_none(raw_header):
    header = raw_header()
    for keyword in ("OBSID", "CONFID", "BLKUID", "IMAGEID", "L1PUBDAT", "AIRMASS", "PROPID"):
        header[keyword] = None
    info = doctor(header)
    numbers = (info.observation_id, info.configuration_id, info.block_id, info.image_id)
    assert numbers == (None,) * 4
    assert (info.public_date, info.airmass, info.proposal_id) == (None, None, "")


def test_sixteen_digit_block_is_exact(raw_header):
    assert doctor(raw_header(BLKUID=1656986719950437)).block_id == 1656986719950437


@pytest.mark.parametrize(
    ("date", "opened", "start"),
    [
        # shutter opened before midnight, software wrote after it
        ("2023-07-06T00:00:02.000", "23:59:58.5", "2023-07-05T23:59:58.500000"),
        ("2023-07-05T23:59:59.000", "00:00:01.5", "2023-07-06T00:00:01.500000"),
        # 121 s apart: not believed
        ("2023-07-05T03:10:20.000", "03:12:21.0", "2023-07-05T03:10:20"),
        ("2023-07-05T03:10:20.000", "03:12:19.0", "2023-07-05T03:12:19"),
    ],
)
def test_gps_time_takes_the_nearest_day_within_two_minutes(raw_header, date, opened, start):
    info = doctor(raw_header(DATE_OBS=date, OPENTIME=opened, CLOSETIM=...))
    assert info.start.replace(tzinfo=None).isoformat() == start


def test_exposure_that_ends_after_midnight(raw_header):
    info = doctor(
        raw_header(DATE_OBS="2023-07-05T23:50:00.0", OPENTIME="23:50:00.0", CLOSETIM="00:05:00.0")
    )
    assert info.mid == datetime(2023, 7, 5, 23, 57, 30, tzinfo=UTC)


def test_exposure_time_from_the_shutter(raw_header):
    info = doctor(raw_header(EXPTIME=None))
    assert math.isclose(info.exptime_s, 899.99)
    assert info.kind is Kind.SPECTRUM


@pytest.mark.parametrize(
    ("changes", "kind", "technique"),
    [
        ({"OBSTYPE": "ARC", "LAMP_HGA": "TRUE"}, Kind.ARC, SPECTRO),
        ({"OBSTYPE": "SPECTRUM", "LAMP_NE": "TRUE"}, Kind.ARC, SPECTRO),
        ({"OBSTYPE": "LAMPFLAT", "LAMP_QUA": "TRUE"}, Kind.FLAT, SPECTRO),
        ({"OBSTYPE": "OBJECT", "LAMP_QUA": "TRUE"}, Kind.FLAT, SPECTRO),
        ({"OBSTYPE": "OBJECT", "LAMP_DOM": True}, Kind.FLAT, SPECTRO),
        ({"OBSTYPE": "BIAS", "EXPTIME": 0.0}, Kind.BIAS, SPECTRO),
        ({"OBSTYPE": "OBJECT", "EXPTIME": 0}, Kind.BIAS, SPECTRO),
        ({"OBSTYPE": "BIAS", "EXPTIME": 300.0}, Kind.DARK, SPECTRO),
        ({"OBSTYPE": "DARK"}, Kind.DARK, SPECTRO),
        ({"OBSTYPE": "FOCUS", "LAMP_HGA": "TRUE"}, Kind.FOCUS, SPECTRO),
        ({"OBSTYPE": "OBJECT", "OBJECT": "focus_400"}, Kind.FOCUS, SPECTRO),
        ({"OBSTYPE": ...}, Kind.SPECTRUM, SPECTRO),
        ({"OBSTYPE": "EXPOSE"}, Kind.SPECTRUM, SPECTRO),
        ({"OBSTYPE": "OBJECT", "OBJECT": "Ne"}, Kind.SPECTRUM, SPECTRO),
    ],
)
def test_kind_rests_on_all_evidence(raw_header, changes, kind, technique):
    info = doctor(raw_header(**changes))
    assert (info.kind, info.technique) == (kind, technique)


def test_a_wrong_label_is_among_the_repairs(raw_header):
    repair = mended(doctor(raw_header(OBSTYPE="OBJECT", LAMP_HGA="TRUE")))["OBSTYPE"]
    assert (repair.found, repair.used) == ("OBJECT", "ARC")
    assert "HGA" in repair.reason


def legacy(raw_header, **changes):
    gone = {key: ... for key in raw_header() if key.startswith("LAMP_")}
    gone |= dict.fromkeys(("PROPID", "OBSID", "CONFID", "BLKUID", "IMAGEID", "L1PUBDAT"), ...)
    old = {
        "INSTRUME": "Goodman Spectro",
        "GRATING": "SYZY_400",
        "SLIT": '1.0" long slit',
        "FILTER": "<NO FILTER>",
        "FILTER2": "<NO FILTER>",
        "WAVMODE": "400 m1",
        "OBSTYPE": "OBJECT",
        "PROPOSAL": "SO2018A-011",
    }
    return raw_header(**{**gone, **old, **changes})


def test_legacy_and_present_spelling_are_one(raw_header):
    old, new = doctor(legacy(raw_header)), doctor(raw_header())
    for field in ("grating", "lines_mm", "slit", "slit_arcsec", "filter", "filter2", "wavmode"):
        assert getattr(old, field) == getattr(new, field), field
    assert old.kind is Kind.SPECTRUM
    assert old.proposal_id == "SO2018A-011"


@pytest.mark.parametrize(
    ("name", "kind", "lamps"),
    [
        ("HgArNe", Kind.ARC, {"HGA", "NE"}),
        ("HgAr", Kind.ARC, {"HGA"}),
        ("Ne", Kind.ARC, {"NE"}),
        ("Ar", Kind.ARC, {"AR"}),
        ("CuHeAr", Kind.ARC, {"CU"}),
        ("FeHeAr", Kind.ARC, {"FE"}),
        ("dflat", Kind.FLAT, set()),
        ("flat600b", Kind.FLAT, set()),
        ("HIP50139", Kind.SPECTRUM, set()),
        ("NGC 1365", Kind.SPECTRUM, set()),
    ],
)
def test_old_frames_labelled_object_are_known_by_name(raw_header, name, kind, lamps):
    info = doctor(legacy(raw_header, OBJECT=name))
    assert (info.kind, set(info.lamps)) == (kind, lamps)


def test_old_comparison_lamp_in_capitals(raw_header):
    info = doctor(legacy(raw_header, OBSTYPE="COMP", OBJECT="HGARNE 600"))
    assert set(info.lamps) == {"HGA", "NE"}


DIRECT = {
    "GRATING": "NO_GRATING",
    "CAM_TARG": 0.0,
    "CAM_ANG": 0.01,
    "WAVMODE": "IMAGING",
    "OBSTYPE": "EXPOSE",
    "PG5_4": 2,
    "PG5_5": 1548,
    "PG5_6": 388,
    "PG5_10": 1548,
    "PG5_11": 530,
    "ROI": "Imaging 2x2",
}


@pytest.mark.parametrize(
    ("slit", "kind"), [("NO_MASK", Kind.IMAGE), ("1.0_LONG_SLIT", Kind.ACQUISITION)]
)
def test_direct_light_is_an_image_unless_the_slit_is_in(raw_header, slit, kind):
    info = doctor(raw_header(**DIRECT, SLIT=slit), shape=(1548, 1548))
    assert (info.kind, info.technique) == (kind, IMAGING)
    assert info.window == Window(530, 388, 1548, 1548, 2, 2)


def test_bias_takes_its_technique_from_the_region(raw_header):
    bias = {**DIRECT, "OBSTYPE": "BIAS", "EXPTIME": 0.0, "GRATING": "400_SYZY", "CAM_TARG": 11.6}
    assert doctor(raw_header(**bias), shape=(1548, 1548)).technique is IMAGING


def test_user_defined_window_is_placed_by_the_controller(raw_header):
    info = doctor(
        raw_header(ROI="user-defined", CCDSUM="1 2", PG5_4=2, PG5_5=300, PG5_6=1500, PG5_9=1,
                   PG5_10=1000, PG5_11=600, TRIMSEC="[1:4142,1:1896]"),
        shape=(300, 1000),
    )  # fmt: skip
    assert info.window == Window(600, 1500, 1000, 300, 1, 2)
    assert mended(info)["TRIMSEC"].used == "[1:1000,1:300]"


def test_2016_controller_cards(raw_header):
    gone = {key: ... for key in raw_header() if key.startswith("PG5_")}
    cards = {"PARAM16": 0, "PARAM17": 4142, "PARAM18": 1, "PARAM20": 1100, "PARAM21": 1896,
             "PARAM22": 1}  # fmt: skip
    info = doctor(raw_header(**gone, **cards, ROI=..., CCDSUM="1 1"), shape=(1, 1896, 4142))
    assert info.window == Window(0, 1100, 4142, 1896)
    assert info.roi == "Spectroscopic 1x1"


@pytest.mark.parametrize(
    ("roi", "shape", "window"),
    [
        ("Spectroscopic 2x2", (948, 2071), Window(0, 1100, 2071, 948, 2, 2)),
        ("Spectroscopic 3x3", (632, 1380), Window(0, 1100, 1380, 632, 3, 3)),
        ("Imaging 1x1", (3096, 3096), Window(530, 388, 3096, 3096)),
        ("CUST_0_4142_980_948_1x2", (948, 4142), Window(0, 980, 4142, 948, 1, 2)),
    ],
)
def test_without_controller_cards_the_region_places(raw_header, roi, shape, window):
    gone = {key: ... for key in raw_header() if key.startswith("PG5_")}
    binning = f"{window.xbin} {window.ybin}"
    assert doctor(raw_header(**gone, ROI=roi, CCDSUM=binning), shape=shape).window == window
    assert doctor(raw_header(**gone, ROI=roi, CCDSUM=...), shape=shape).window == window


def test_array_of_another_size_is_reported_not_fatal(raw_header):
    info = doctor(raw_header(), shape=(10, 10))
    assert info.window.shape == (948, 2071)
    assert mended(info)["NAXIS1,NAXIS2"].found == "10 x 10"


@pytest.mark.parametrize(
    ("changes", "camera", "source"),
    [
        ({"INSTCONF": ..., "INSTRUME": "GHTS_RED_IMAGER"}, "Red", "INSTRUME"),
        ({"INSTCONF": "", "INSTRUME": "Goodman Spectro"}, "Red", "GAIN and RDNOISE"),
        (
            {"INSTCONF": ..., "INSTRUME": ..., "GAIN": 0.56, "RDNOISE": 3.69},
            "Blue",
            "GAIN and RDNOISE",
        ),
        (
            {"INSTCONF": ..., "INSTRUME": ..., "GAIN": 9.9, "PG1_25": 16},
            "Blue",
            "the prescan in PG1_25",
        ),
    ],
)
def test_camera_is_inferred(raw_header, changes, camera, source):
    info = doctor(raw_header(**changes))
    assert info.camera == camera
    assert mended(info)["INSTCONF"].reason == f"Missing; inferred from {source}."


@pytest.mark.parametrize("camera", ["red", "RED", " Red "])
def test_camera_in_any_case(raw_header, camera):
    assert doctor(raw_header(INSTCONF=camera)).camera == "Red"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"GAIN": ...}, "GAIN"),
        ({"GAIN": 0.0}, "GAIN"),
        ({"RDNOISE": "unknown"}, "RDNOISE"),
        ({"DATE_OBS": ...}, "DATE-OBS"),
        ({"DATE_OBS": "2023-13-45T00:00:00"}, "DATE-OBS"),
        ({"INSTCONF": ..., "INSTRUME": ..., "GAIN": 9.9}, "INSTCONF"),
    ],
)
def test_what_no_rule_can_infer_is_an_error_with_a_remedy(raw_header, changes, field):
    with pytest.raises(BadHeaderError) as caught:
        doctor(raw_header(**changes), name="0007_odd.fits")
    assert caught.value.field == field
    assert "0007_odd.fits" in caught.value.message
    assert field in caught.value.remedy


FAR_RED = {"CAM_TARG": 60.2, "GRT_TARG": 30.1}


def test_unlisted_readout_mode_saturates_at_half_of_the_full_well(raw_header):
    info = doctor(raw_header(GAIN=2.05, RDNOISE=4.4))
    assert math.isclose(info.saturation, 102_500 / 2.05)


@pytest.mark.parametrize(
    ("changes", "mode"),
    [
        ({"WAVMODE": ...}, "400_M1"),
        ({"WAVMODE": "", "CAM_TARG": 13.853463, "GRT_TARG": 6.926732}, "CUSTOM"),
        ({"WAVMODE": "Custom"}, "CUSTOM"),
        ({"WAVMODE": "", "GRATING": "1200_CANIR", **FAR_RED}, "1200_CANIR"),
        ({"WAVMODE": "", "GRATING": "1200_RALC_RED", **FAR_RED}, "1200_M7"),
        ({"WAVMODE": "1200_CaNIR"}, "1200_CANIR"),
    ],
)  # fmt: skip
def test_mode_is_named_from_the_commanded_angles(raw_header, changes, mode):
    assert doctor(raw_header(**changes)).wavmode == mode


def test_missing_angles_come_from_twin_or_mode(raw_header):
    info = doctor(raw_header(CAM_TARG=..., GRT_TARG=..., GRT_ANG=...))
    assert info.cam_targ == 11.6003
    assert (info.grt_ang, info.grt_targ) == (5.8, 5.8)


def test_any_header_of_rubbish_gives_an_info_or_a_clear_error(raw_header):
    rng = random.Random(7)
    rubbish = [
        "",
        "?",
        "NaN",
        None,
        -1,
        0,
        10**30,
        1e300,
        True,
        "<>",
        "'",
        "x" * 60,
        "::",
        "[:,:]",
    ]
    keys = list(raw_header())
    faults = set()
    for _ in range(300):
        header = raw_header()
        for key in rng.sample(keys, 12):
            header[key] = rng.choice(rubbish)
        try:
            info = doctor(header)
        except BadHeaderError as error:
            faults.add(error.field)
            continue
        assert info.window.nx > 0
        assert info.exptime_s >= 0
    assert faults == {"GAIN", "RDNOISE", "DATE-OBS", "INSTCONF"}


def test_describe_leaves_the_header_alone(raw_header):
    header = raw_header(GRATING="SYZY_400", OBSRA="17:23:60.000")
    before = fits.Header(header, copy=True)
    doctor(header)
    assert header.tostring() == before.tostring()


def test_another_number_of_decimals_is_no_repair(raw_header):
    info = doctor(raw_header(OBSRA="14:03:38.5", OBSDEC="-27:18:42.10"))
    assert info.repairs == ()
    assert (info.obsra, info.obsdec) == ("14:03:38.500", "-27:18:42.100")
