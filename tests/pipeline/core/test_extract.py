"""Targets, traces and fluxes against known truth."""

import dataclasses

import numpy as np
import pytest

from goodman_live.pipeline.core.aperture import Aperture
from goodman_live.pipeline.core.errors import NoTargetError, SettingsError
from goodman_live.pipeline.core.extract import extract_targets
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.working import prepare
from tests.pipeline.core.slit_scene import GAIN, Star, ideal_sigma, scene

QUICK, FULL = 10, 100


def measure(star, seeds, **kwargs):
    """Return per realisation: relative bias, efficiency, pull width, share below 3 sigma."""
    out = []
    for seed in seeds:
        shifted = dataclasses.replace(star, row=star.row + (seed % 10) / 10)
        truth = scene(seed, [shifted])
        spectrum = extract_targets(truth.frame, **kwargs).targets[0].spectrum
        off = spectrum.flux - truth.fluxes[0]
        pulls = off / spectrum.uncertainty
        best = ideal_sigma(truth, 0, shifted)
        third = off.size // 3
        out.append(
            [
                off.mean() / truth.fluxes[0].mean(),
                1 / np.sqrt(np.mean((off / best) ** 2)),
                pulls.std(),
                np.mean(np.abs(pulls) < 3),
                (off[-third:].mean() - off[:third].mean()) / truth.fluxes[0].mean(),
                spectrum.flux.size,
            ]
        )
    return np.array(out)


@pytest.mark.parametrize("count", [QUICK, pytest.param(FULL, marks=pytest.mark.slow)])
def test_bright_star_is_unbiased_flat_and_honest(count):
    result = measure(Star(150, 5000.0), range(count))
    bias, efficiency, width, within, drift, _ = result.mean(axis=0)
    assert abs(bias) < 0.005
    assert abs(drift) < 0.005
    assert efficiency > 0.98
    assert 0.97 < width < 1.03
    assert within > 0.99


@pytest.mark.parametrize("count", [QUICK, pytest.param(FULL, marks=pytest.mark.slow)])
def test_faint_star_reaches_the_photon_limit(count):
    result = measure(Star(150, 60.0, slope=0.001, curve=0.0), range(count))
    bias, efficiency, width, _, _, _ = result.mean(axis=0)
    assert abs(bias) < (0.02 if count == QUICK else 0.008)
    assert efficiency > (0.95 if count == QUICK else 0.97)
    assert 0.97 < width < 1.03


def test_blank_sky_has_no_target():
    for seed in range(10):
        with pytest.raises(NoTargetError, match="No target stands above the noise"):
            extract_targets(scene(seed).frame)


def second_star(bright, fwhm, seeds, nx=800):
    """Return how many realisations show a star of seven sigma, and its relative errors.

    Seven standard deviations of a measurement that knows everything but the flux.
    """
    main, probe = Star(100, bright, fwhm=fwhm), Star(190, 10.0, fwhm=fwhm)
    sigma = ideal_sigma(scene(0, [main, probe], nx=nx), 1, probe) * GAIN
    probe.flux = 7 / np.sqrt((1 / sigma**2).sum())
    found, errors = 0, []
    for seed in seeds:
        probe.row = 190 + (seed % 10) / 10
        truth = scene(seed, [main, probe], nx=nx)
        targets = extract_targets(truth.frame).targets
        rows = np.array([t.quality["row_unbinned"] for t in targets])
        both = np.array([truth.row_unbinned(100), truth.row_unbinned(probe.row)])
        assert np.all(np.abs(rows[:, None] - both).min(axis=1) < 6), "nothing else is found"
        away = np.abs(rows - both[1])
        if away.min() < 4:
            spectrum = targets[int(away.argmin())].spectrum
            flux = np.average(spectrum.flux, weights=spectrum.uncertainty**-2)
            errors.append(flux / truth.fluxes[1].mean() - 1)
            found += 1
    return found, np.array(errors)


@pytest.mark.parametrize(("bright", "fwhm"), [(50000.0, 3.0), (500.0, 5.0)])
def test_second_star_is_found_whatever_the_brightest(bright, fwhm):
    found, errors = second_star(bright, fwhm, range(6), nx=400)
    assert found >= 5
    assert abs(errors.mean()) < 0.25


@pytest.mark.slow
@pytest.mark.parametrize("fwhm", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("bright", [200.0, 5000.0, 500000.0])
def test_second_star_in_a_hundred_realisations(bright, fwhm):
    found, errors = second_star(bright, fwhm, range(FULL))
    # Of 5 px the slow changes of level that are taken out take some of it: 92 to 94 were found.
    assert found >= (0.95 if fwhm < 5 else 0.91) * FULL
    # one star in seven sigma scatters by 14 %; those that noise lifts are found more often
    assert abs(errors.mean()) < 0.06


@pytest.mark.parametrize("slope", [0.0, 0.01, -0.02])
def test_trace_follows_to_three_hundredths_of_a_pixel(slope):
    truth = scene(3, [Star(150, 5000.0, slope=slope, curve=2.0)])
    target = extract_targets(truth.frame).targets[0]
    error = target.spectrum.trace - truth.row_unbinned(truth.paths[0])
    assert np.abs(error).max() / 2 < 0.05
    assert np.sqrt(np.mean(error**2)) / 2 < 0.03
    assert target.trace.rms < 0.03
    assert target.quality["fwhm_px"] == pytest.approx(3.0, rel=0.03)


def test_source_seen_in_one_line_alone_is_found():
    flux = np.zeros(800)
    flux[400:404] = 400.0
    truth = scene(1, [Star(150, flux, slope=0.0, curve=0.0)])
    targets = extract_targets(truth.frame).targets
    assert len(targets) == 1
    assert targets[0].quality["row_unbinned"] == pytest.approx(truth.row_unbinned(150), abs=1.5)
    summed = np.nansum(targets[0].spectrum.flux[395:409])
    assert summed == pytest.approx(1600 / GAIN, rel=0.25)


def test_close_neighbour_does_not_bias():
    truth = scene(4, [Star(150, 5000.0), Star(159, 1000.0)])
    targets = extract_targets(truth.frame).targets
    assert len(targets) == 2
    for target, flux in zip(targets, truth.fluxes, strict=True):
        assert np.mean(target.spectrum.flux) == pytest.approx(flux.mean(), rel=0.02)


@pytest.mark.parametrize("ratio", [1.0, 0.3])
@pytest.mark.parametrize(("apart", "fwhm"), [(1.5, 3.0), (1.5, 4.5), (2.0, 4.5)])
def test_stars_closer_than_two_widths_are_told_apart(apart, fwhm, ratio):
    first = Star(150, 3000.0, fwhm=fwhm)
    second = Star(150 + apart * fwhm, 3000.0 * ratio, fwhm=fwhm)
    truth = scene(4, [first, second])
    targets = sorted(extract_targets(truth.frame).targets, key=lambda t: t.quality["row_unbinned"])
    assert len(targets) == 2
    for target, flux, star in zip(targets, truth.fluxes, (first, second), strict=True):
        assert np.mean(target.spectrum.flux) == pytest.approx(flux.mean(), rel=0.03)
        assert target.quality["row_unbinned"] == pytest.approx(
            truth.row_unbinned(star.row), abs=0.5
        )


@pytest.mark.slow
@pytest.mark.parametrize("flux", [300.0, 30000.0])
@pytest.mark.parametrize("ratio", [1.0, 0.3])
def test_close_stars_are_told_apart_in_a_hundred_realisations(ratio, flux):
    parted = 0
    for seed in range(FULL):
        row = 150 + (seed % 10) / 10
        stars = [Star(row, flux), Star(row + 4.5, flux * ratio)]
        parted += len(extract_targets(scene(seed, stars).frame).targets) == 2
    assert parted >= 0.95 * FULL


def test_one_wide_source_is_not_split():
    for seed, fwhm in enumerate((6.0, 9.0, 14.0, 17.0, 20.0, 23.0, 30.0)):
        truth = scene(seed, [Star(150, 3000.0, fwhm=fwhm)])
        targets = extract_targets(truth.frame).targets
        assert len(targets) == 1
        assert np.mean(targets[0].spectrum.flux) == pytest.approx(truth.fluxes[0].mean(), rel=0.02)


def test_star_does_not_enter_the_sky_on_tilted_lines():
    """A comb of one tooth a column is a change along the slit where lines are tilted."""
    blank, starry = scene(15), scene(15, [Star(150, 60.0, slope=0.0, curve=0.0)])
    bends = []
    for truth in (blank, starry):
        work = prepare(truth.frame)
        along = np.median(work.sky_image - truth.sky, axis=1)
        bends.append(along - np.polyval(np.polyfit(np.arange(300), along, 1), np.arange(300)))
    assert np.abs(bends[1] - bends[0]).max() < 0.05


def test_max_targets_is_honoured_and_the_rest_counted():
    stars = [Star(60, 900.0), Star(120, 3000.0), Star(200, 400.0)]
    result = extract_targets(scene(5, stars).frame, max_targets=2)
    rows = [t.quality["row_unbinned"] for t in result.targets]
    assert len(rows) == 2
    assert result.neighbours == 1
    assert abs(rows[0] - (1300.5 + 2 * 120)) < 4, "the brightest comes first"


def test_cosmic_rays_are_rejected_and_do_not_flag():
    star = Star(150, 3000.0)
    truth = scene(6, [star])
    data = truth.frame.data.copy()
    rng = np.random.default_rng(0)
    columns = rng.choice(800, 60, replace=False)
    rows = np.rint(truth.paths[0][columns]).astype(int) + rng.integers(-2, 3, 60)
    data[rows, columns] += 3000
    noise = np.sqrt(np.maximum(data, 0) / GAIN + (3.89 / GAIN) ** 2)
    frame = dataclasses.replace(truth.frame, data=data, uncertainty=noise)
    target = extract_targets(frame).targets[0]
    pulls = (target.spectrum.flux - truth.fluxes[0]) / target.spectrum.uncertainty
    assert np.abs(pulls[columns]).max() < 6
    assert np.mean(target.spectrum.flags != 0) < 0.05
    assert target.quality["rejected_pixels"] >= 55


def test_fractional_sums_between_edges():
    truth = scene(7, [Star(150, 5000.0)])
    target = extract_targets(truth.frame, method="fractional").targets[0]
    share = np.mean(target.spectrum.flux) / truth.fluxes[0].mean()
    assert 0.90 < share < 0.98, "one FWHM each way holds most of a Moffat"
    assert target.upper == pytest.approx(6.0, rel=0.05)
    assert target.spectrum.header["GSP_XMET"] == "fractional"


def test_saturated_star_is_extracted_and_flagged():
    truth = scene(8, [Star(150, 5000.0)])
    flags = truth.frame.flags.copy()
    rows = np.rint(truth.paths[0]).astype(int)
    for k in (-1, 0, 1):
        flags[rows + k, np.arange(800)] |= np.uint8(Flag.SATURATED)
    target = extract_targets(dataclasses.replace(truth.frame, flags=flags)).targets[0]
    assert np.all(target.spectrum.flags & np.uint8(Flag.SATURATED))
    assert np.isfinite(target.spectrum.flux).all()


def test_rows_and_columns_without_data():
    truth = scene(9, [Star(150, 3000.0)])
    data, flags = truth.frame.data.copy(), truth.frame.flags.copy()
    data[40:50] = np.nan
    data[:, 300:303] = np.nan
    flags[:, 500:505] |= np.uint8(Flag.BAD)
    target = extract_targets(dataclasses.replace(truth.frame, data=data, flags=flags)).targets[0]
    spectrum = target.spectrum
    assert np.isnan(spectrum.flux[300:303]).all()
    assert np.all(spectrum.flags[500:505] & np.uint8(Flag.BAD))
    rest = np.ones(800, bool)
    rest[300:303] = rest[500:505] = False
    assert np.isfinite(spectrum.flux[rest]).all()
    assert np.mean(spectrum.flux[rest]) == pytest.approx(truth.fluxes[0].mean(), rel=0.01)


def test_star_at_the_edge_of_the_slit():
    truth = scene(10, [Star(4, 3000.0, slope=0.0, curve=0.0)])
    target = extract_targets(truth.frame).targets[0]
    assert target.quality["row_unbinned"] == pytest.approx(truth.row_unbinned(4), abs=0.3)
    assert np.mean(target.spectrum.flux) == pytest.approx(truth.fluxes[0].mean(), rel=0.03)


def test_star_beyond_the_end_of_the_slit_costs_no_other_target():
    outside = Star(-4, 3000.0, slope=0.0, curve=0.0)
    with pytest.raises(NoTargetError, match="beyond the end of its slit"):
        extract_targets(scene(31, [outside]).frame)
    truth = scene(31, [outside, Star(150, 600.0, slope=0.0, curve=0.0)])
    (target,) = extract_targets(truth.frame).targets
    assert target.quality["row_unbinned"] == pytest.approx(truth.row_unbinned(150), abs=0.3)
    assert np.mean(target.spectrum.flux) == pytest.approx(truth.fluxes[1].mean(), rel=0.02)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 13, 30])
def test_a_window_of_few_rows_gives_spectra_or_says_that_there_is_no_target(rows):
    frame = scene(32, [Star(150, 5000.0, slope=0.0, curve=0.0)]).frame
    low = frame.cut(frame.window.sub(slice(None), slice(150 - rows // 2, 150 - rows // 2 + rows)))
    try:
        targets = extract_targets(low).targets
    except NoTargetError:
        assert rows < 13
        return
    assert np.isfinite(targets[0].spectrum.flux).mean() > 0.9


def test_aperture_by_hand_on_blank_sky_measures_nothing_honestly():
    truth = scene(11)
    aperture = Aperture(row=truth.row_unbinned(120), lower=-6, upper=6, follow="straight")
    spectrum = extract_targets(truth.frame, apertures=[aperture]).targets[0].spectrum
    pulls = spectrum.flux / spectrum.uncertainty
    assert abs(pulls.mean()) < 0.15
    assert 0.9 < pulls.std() < 1.1


def test_faint_aperture_borrows_the_trace_of_a_brighter_star():
    truth = scene(12, [Star(100, 5000.0, slope=0.01)])
    aperture = Aperture(row=truth.row_unbinned(200), follow="borrow")
    target = extract_targets(truth.frame, apertures=[aperture]).targets[0]
    lean = np.polyfit(np.arange(800), target.spectrum.trace / 2, 1)[0]
    assert lean == pytest.approx(0.01, abs=5e-4)
    assert target.trace.borrowed


def test_aperture_outside_the_frame_is_refused():
    with pytest.raises(NoTargetError, match="outside the frame"):
        extract_targets(scene(13).frame, apertures=[Aperture(row=10.0)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"lower": 5, "upper": -5},
        {"lower": -5},
        {"zones": [(3, 1)]},
        {"zones": [3]},
        {"follow": "elsewhere"},
        {"row": float("nan")},
    ],
)
def test_senseless_apertures_are_refused(wrong):
    with pytest.raises(SettingsError):
        Aperture(**{"row": 1500.0, **wrong})


def test_frame_without_usable_pixel():
    truth = scene(14)
    flags = np.full_like(truth.frame.flags, np.uint8(Flag.BAD))
    with pytest.raises(NoTargetError, match="Not one pixel"):
        extract_targets(dataclasses.replace(truth.frame, flags=flags))
