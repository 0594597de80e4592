"""Raw frames and products on disk: what is read, what is refused; nothing is half written."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits import Header

from goodman_live.pipeline.core.errors import BadFrameError, BadHeaderError, DiskFullError
from goodman_live.pipeline.core.frame import Flag, Frame, Window
from goodman_live.pipeline.core.info import Kind
from goodman_live.pipeline.products import atomic
from goodman_live.pipeline.products.fits import (
    read_described,
    read_frame,
    read_header,
    read_header_text,
    read_info,
    read_raw,
    write_frame,
)


def ramp(rows=948, columns=2071):
    return (np.arange(rows * columns).reshape(rows, columns) % 65535).astype(np.uint16)


def patch(path, old, new):
    """Change bytes of a file in place; both must have one length."""
    assert len(old) == len(new)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def test_raw_frame_is_read_as_unsigned_numbers(raw_file):
    data = ramp()
    frame, info = read_raw(raw_file(data=data))
    assert frame.data.dtype == np.float32
    np.testing.assert_array_equal(frame.data, data)
    assert frame.window == Window(0, 1100, 2071, 948, 2, 2)
    assert info.kind is Kind.SPECTRUM
    assert frame.header["GSP_ONAM"] == "0317_SN2023abc_05-07-2023.fits"
    assert frame.header["GSP_BIAS"] == "none"
    assert frame.header["BUNIT"] == "adu"
    assert "BZERO" not in frame.header


def test_reading_never_touches_the_raw_file(raw_file):
    path = raw_file(GRATING="SYZY_400")
    before = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns
    path.chmod(0o444)
    read_raw(path)
    read_info(path)
    assert (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("gain", "rdnoise", "level"),
    # published 69257 is above the converter; 26486 is half of the full well; unlisted pair
    [(1.48, 3.89, 65535), (3.87, 7.05, 26486), (2.05, 4.4, 50000)],
)
def test_saturation_is_the_lesser_of_well_and_converter(raw_file, gain, rdnoise, level):
    data = np.full((948, 2071), 500, np.uint16)
    data[3, 4], data[3, 5] = level - 1, level
    frame, _ = read_raw(raw_file(data=data, GAIN=gain, RDNOISE=rdnoise))
    assert frame.flags[3, 5] == Flag.SATURATED
    assert np.count_nonzero(frame.flags) == 1


def test_leftover_offset_of_floating_point_pixels_is_not_added(raw_file):
    path = raw_file(data=np.full((948, 2071), 612.0))
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["HISTORY"] = "BZERO goes here".ljust(70)
    content = path.read_bytes()
    card = b"HISTORY BZERO goes here".ljust(80)
    path.write_bytes(content.replace(card, b"BZERO   =                32768".ljust(80), 1))
    assert b"BZERO   =                32768" in path.read_bytes()
    frame, _ = read_raw(path)
    assert float(frame.data.mean()) == 612.0


def test_third_axis_of_2016_is_dropped(raw_file):
    frame, _ = read_raw(raw_file(data=ramp()[np.newaxis]))
    np.testing.assert_array_equal(frame.data, ramp())


def test_tile_compressed_archive_copy(tmp_path, raw_header):
    path = tmp_path / "0001_x.fits.fz"
    hdu = fits.CompImageHDU(ramp(), raw_header(), compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    frame, info = read_raw(path)
    np.testing.assert_array_equal(frame.data, ramp())
    assert info == read_info(path)
    assert info.kind is Kind.SPECTRUM
    assert not [key for key in frame.header if key.startswith(("Z", "TFORM", "XTENSION"))]


def test_not_a_number_is_flagged(raw_file):
    data = np.full((948, 2071), 600.0, np.float32)
    data[10, 20], data[11, 21] = np.nan, np.inf
    frame, _ = read_raw(raw_file(data=data))
    assert frame.flags[10, 20] == frame.flags[11, 21] == Flag.NO_DATA
    assert np.count_nonzero(frame.flags) == 2
    assert np.isfinite(frame.data).all()


def test_numbers_beyond_float32_are_no_data(raw_file):
    data = np.full((948, 2071), 600.0)
    data[10, 20] = 1e300
    frame, _ = read_raw(raw_file(data=data))
    assert frame.flags[10, 20] == Flag.NO_DATA
    assert np.count_nonzero(frame.flags) == 1


def test_bytes_changed_at_random_give_a_frame_or_a_clear_error(raw_file):
    path = raw_file()
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    outcomes = set()
    for changes in [1, 3, 10, 60] * 15:
        content = bytearray(whole)
        for place in rng.integers(0, 5760, changes):
            content[place] = rng.integers(0, 256)
        path.write_bytes(content)
        try:
            read_raw(path)
            outcomes.add("read")
        except BadFrameError as error:
            outcomes.add("refused")
            assert path.name in error.message  # noqa: PT017  (either outcome is right)
    assert outcomes == {"read", "refused"}


def test_nothing_but_not_a_number_is_refused(raw_file):
    path = raw_file(data=np.full((948, 2071), np.nan, np.float32))
    with pytest.raises(BadFrameError, match=r"0317_SN2023abc.*no number"):
        read_raw(path)


@pytest.mark.parametrize("read", [read_raw, read_described])
def test_pixels_of_eight_bits_are_no_raw_frame(tmp_path, raw_header, read):
    path = tmp_path / "0317_x.fits"
    fits.PrimaryHDU((ramp() % 256).astype(np.uint8), raw_header()).writeto(path)
    with pytest.raises(BadFrameError, match=r"0317_x\.fits has pixels of 8 bits"):
        read(path)


@pytest.mark.parametrize("read", [read_raw, read_info])
class TestRefusals:
    def test_empty(self, tmp_path, read):
        path = tmp_path / "empty.fits"
        path.touch()
        with pytest.raises(BadFrameError, match=r"empty\.fits is empty\. Copy"):
            read(path)

    def test_absent(self, tmp_path, read):
        with pytest.raises(BadFrameError, match=r"gone\.fits cannot be read: No such file"):
            read(tmp_path / "gone.fits")

    def test_folder(self, tmp_path, read):
        with pytest.raises(BadFrameError, match="cannot be read: Is a directory"):
            read(tmp_path)

    @pytest.mark.parametrize("content", [b"hello", b"\x00" * 9000, b"<html>" * 1000])
    def test_not_fits(self, tmp_path, read, content):
        path = tmp_path / "text.fits"
        path.write_bytes(content)
        with pytest.raises(BadFrameError, match=r"text\.fits is not a FITS file"):
            read(path)

    def test_compressed_with_gzip(self, tmp_path, raw_file, read):
        path = tmp_path / "0317_x.fits.gz"
        path.write_bytes(gzip.compress(raw_file().read_bytes(), 1))
        with pytest.raises(BadFrameError, match=r"x\.fits\.gz is compressed with gzip.*gunzip"):
            read(path)

    @pytest.mark.parametrize("size", [1000, 2880, 5000])
    def test_ends_in_its_header(self, raw_file, read, size):
        path = raw_file()
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(BadFrameError, match=r"ends inside its header|is truncated"):
            read(path)

    def test_truncated(self, raw_file, read):
        path = raw_file()
        whole = path.stat().st_size
        os.truncate(path, whole // 2)
        with pytest.raises(BadFrameError, match=rf"is truncated: {whole // 2} of \d+ bytes"):
            read(path)

    def test_truncated_archive_copy(self, tmp_path, raw_header, read):
        path = tmp_path / "0001_x.fits.fz"
        hdu = fits.CompImageHDU(ramp(), raw_header(), compression_type="RICE_1")
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(BadFrameError, match=r"0001_x\.fits\.fz is truncated"):
            read(path)

    def test_table_alone(self, tmp_path, read):
        path = tmp_path / "table.fits"
        table = fits.BinTableHDU.from_columns([fits.Column("a", "D", array=[1.0])])
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
        with pytest.raises(BadFrameError, match="holds no image"):
            read(path)

    def test_cube(self, tmp_path, raw_header, read):
        path = tmp_path / "cube.fits"
        fits.PrimaryHDU(np.zeros((3, 10, 10), np.uint16), raw_header()).writeto(path)
        with pytest.raises(BadFrameError, match="are no image"):
            read(path)

    def test_senseless_axes(self, raw_file, read):
        path = raw_file()
        patch(path, b"NAXIS1  =                 2071", b"NAXIS1  =                -2071")
        with pytest.raises(BadFrameError, match="is no image"):
            read(path)

    def test_lost_gain(self, raw_file, read):
        with pytest.raises(BadHeaderError, match="GAIN is missing"):
            read(raw_file(GAIN=...))


def test_array_of_another_size_than_was_read_out_is_refused(raw_file):
    path = raw_file(data=ramp(100, 120))
    with pytest.raises(BadFrameError, match=r"120 x 100 pixels.* 2071 x 948 were read out"):
        read_raw(path)
    assert read_info(path).window.shape == (948, 2071)


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32])
def test_a_file_with_a_hole_is_refused(raw_file, kind):
    """Its space was set aside, and a part of its bytes never came."""
    path = raw_file(data=ramp(948, 2071).astype(kind))
    content = bytearray(path.read_bytes())
    content[-1_000_000:] = bytes(1_000_000)
    path.write_bytes(content)
    with pytest.raises(BadFrameError, match=r"not wholly written: \d+ of its 948 rows"):
        read_raw(path)


def test_missing_padding_and_missing_end_are_accepted(raw_file):
    path = raw_file(data=ramp())
    content = path.read_bytes()
    end = b"END".ljust(80)
    assert content.count(end) == 1
    path.write_bytes(
        content[: content.index(end)] + b" " * 80 + content[content.index(end) + 80 :]
    )
    os.truncate(path, len(content) - 2880 + (948 * 2071 * 2) % 2880)
    frame, _ = read_raw(path)
    np.testing.assert_array_equal(frame.data, ramp())


HOSTILE = [
    b"ENVTEM  =                  9.5 / Temperature [\xb0C]",
    b"OBSERVER= 'Jos\xe9 \x00\x07 <script>alert(1)</script>'",
    b"lower   = 'keyword'",
    b"NOQUOTE = text without quotes",
    b"OPENQUOT= 'never closed",
    b"NANVALUE=                  nan",
    b"LONGINT = 123456789012345678901234567890",
    b"EQUALS=no value indicator",
    b"OBSTYPE = 'SPECTRUM' / again",
]


def test_hostile_cards_are_read_and_written_legally(raw_file, tmp_path):
    path = raw_file(**{f"SPARE{n}": n for n in range(12)})
    content = path.read_bytes()
    for number, card in enumerate(HOSTILE):
        start = content.index(b"SPARE%d " % number if number < 10 else b"SPARE%d" % number)
        content = content[:start] + card.ljust(80) + content[start + 80 :]
    path.write_bytes(content)
    frame, info = read_raw(path)
    assert info.kind is Kind.SPECTRUM
    out = tmp_path / "t_x.fits"
    write_frame(out, frame, data_type=2)
    with fits.open(out) as hdus:
        hdus.verify("exception")
        assert "never closed" in str(hdus[0].header["COMMENT"])
        assert "?" in hdus[0].header["OBSERVER"]
        assert hdus[0].header["LONGINT"] == 123456789012345678901234567890
    assert read_info(out).kind is Kind.SPECTRUM


@pytest.mark.parametrize("length", [60, 61, 62, 63, 64, 65, 66, 70, 150])
def test_long_file_names_and_folders_are_written_whole(raw_file, tmp_path, length):
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    frame, _ = read_raw(raw_file(name="n'" * 60 + ".fits"))
    path = folder / ("p" * length + ".fits")
    write_frame(path, frame, data_type=2)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert hdus[0].header["GSP_FNAM"] == path.name
    for header in (read_header(path), Header.fromstring(read_header_text(path))):
        assert header["GSP_FNAM"] == path.name
        assert header["GSP_PATH"] == str(folder)
        assert header["GSP_PNAM"] == header["GSP_ONAM"] == "n_" * 60 + ".fits"
        assert header["GSP_TYPE"] == 2


def sample_frame(raw_file):
    frame, _ = read_raw(raw_file(data=ramp(), RLEVEL=0))
    rng = np.random.default_rng(1)
    noise = rng.uniform(1, 9, frame.data.shape).astype(np.float32)
    flags = rng.integers(0, 128, frame.data.shape).astype(np.uint8)
    return replace(frame, uncertainty=noise, flags=flags)


def test_product_comes_back_as_it_was(raw_file, tmp_path):
    frame = sample_frame(raw_file)
    part = frame.cut(frame.window.sub(slice(25, 2055), slice(1, 948)))
    path = tmp_path / "out" / "st_0317.fits"
    write_frame(path, part, data_type=2)
    back = read_frame(path)
    for name in ("data", "uncertainty", "flags"):
        np.testing.assert_array_equal(getattr(back, name), getattr(part, name))
        assert getattr(back, name).dtype == getattr(part, name).dtype
    assert back.window == part.window == Window(50, 1102, 2030, 947, 2, 2)
    assert back.unit == "adu"
    header = back.header
    assert (header["GSP_PNAM"], header["GSP_FNAM"]) == (
        "0317_SN2023abc_05-07-2023.fits",
        path.name,
    )
    assert header["RLEVEL"] == 62
    assert header["OBJECT"] == "SN2023abc"
    assert read_info(path).window == part.window


def test_the_text_of_a_products_header_is_its_header(tmp_path, raw_file):
    path = tmp_path / "p.fits"
    frame = sample_frame(raw_file)
    frame.header["LONGNAME"] = "words " * 40
    write_frame(path, frame, data_type=2)
    text = read_header_text(path)
    assert text == read_header(path).tostring()
    assert fits.Header.fromstring(text)["LONGNAME"] == ("words " * 40).rstrip()


def test_product_layout_is_as_documented(raw_file, tmp_path):
    path = tmp_path / "x.fits"
    write_frame(path, sample_frame(raw_file), data_type=1, parent="combined")
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "UNCERT", "FLAGS"]
        assert [hdu.header["BITPIX"] for hdu in hdus] == [-32, -32, 8]
        assert hdus[0].header["GSP_PNAM"] == "combined"
        hdus.verify("exception")


def test_frame_keeps_its_header_when_written(raw_file, tmp_path):
    frame = sample_frame(raw_file)
    before = frame.header.tostring()
    write_frame(tmp_path / "x.fits", frame, data_type=2)
    assert frame.header.tostring() == before


@pytest.mark.parametrize("kind", ["raw", "spectrum-like", "damaged"])
def test_what_is_no_product_is_refused(raw_file, tmp_path, kind):
    path = raw_file()
    if kind == "spectrum-like":
        path = tmp_path / "s.fits"
        fits.PrimaryHDU(np.zeros(5)).writeto(path)
    if kind == "damaged":
        whole = tmp_path / "w.fits"
        write_frame(whole, sample_frame(lambda **cards: raw_file("o.fits", **cards)), data_type=2)
        os.truncate(whole, whole.stat().st_size * 2 // 3)
        path = whole
    with pytest.raises(BadFrameError, match=r"is not a 2-D product|is truncated"):
        read_frame(path)


def test_overlay_stands_in_for_cards(raw_file):
    path = raw_file(GAIN=..., OBSTYPE="OBJECT")
    overlay = {"GAIN": 1.48, "OBSTYPE": "ARC"}
    assert read_info(path, overlay=overlay).kind is Kind.ARC
    frame, info = read_raw(path, overlay=overlay)
    assert (info.gain, frame.header["GAIN"]) == (1.48, 1.48)


class TestWholeOrNothing:
    def test_a_full_disk_leaves_nothing(self, raw_file, tmp_path):
        """A real limit on the size of files stands in for the full disk."""
        frame = sample_frame(raw_file)
        out = tmp_path / "out"
        out.mkdir()
        script = (
            "import resource, signal, sys\n"
            "from pathlib import Path\n"
            "from goodman_live.pipeline.products.fits import read_raw, write_frame\n"
            "from goodman_live.pipeline.core.errors import DiskFullError\n"
            "frame, _ = read_raw(Path(sys.argv[1]))\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))\n"
            "try:\n"
            "    write_frame(Path(sys.argv[2]), frame, data_type=2)\n"
            "except DiskFullError as error:\n"
            "    print(error)\n"
            "    raise SystemExit(7)\n"
        )
        raw = tmp_path / frame.header["GSP_ONAM"]
        done = subprocess.run(
            [sys.executable, "-c", script, str(raw), str(out / "t.fits")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 7, done.stderr
        assert "No space to write t.fits" in done.stdout
        assert list(out.iterdir()) == []

    def test_no_space_keeps_the_older_file(self, raw_file, tmp_path, monkeypatch):
        frame = sample_frame(raw_file)
        path = tmp_path / "t.fits"
        write_frame(path, frame, data_type=2)
        before = path.read_bytes()

        def full(_descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(atomic.os, "fsync", full)
        with pytest.raises(DiskFullError):
            write_frame(path, frame, data_type=2)
        assert path.read_bytes() == before
        assert not list(tmp_path.glob(".*part"))

    def test_what_a_killed_process_left_is_swept(self, tmp_path):
        """A live writer keeps its file, a dead one and only that loses it."""
        script = (
            "import os, signal, sys\n"
            "from pathlib import Path\n"
            "from goodman_live.pipeline.products.atomic import whole_file\n"
            "with whole_file(Path(sys.argv[1])) as stream:\n"
            "    stream.write(b'half')\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.fits")], check=False)
        (left,) = tmp_path.iterdir()
        assert left.name.endswith(".part")
        with atomic.whole_file(tmp_path / "b.fits") as stream:
            stream.write(b"whole")
            assert atomic.sweep(tmp_path) == [left]
        assert [path.name for path in tmp_path.iterdir()] == ["b.fits"]

    def test_any_failure_leaves_nothing(self, tmp_path):
        def interrupted():
            with atomic.whole_file(tmp_path / "x") as stream:
                stream.write(b"half")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            interrupted()
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_may_not_be_written(self, raw_file, tmp_path):
        blocker = tmp_path / "file"
        blocker.touch()
        frame = sample_frame(raw_file)
        with pytest.raises(OSError, match=r"Not a directory|File exists"):
            write_frame(blocker / "x.fits", frame, data_type=2)


def test_frame_refuses_arrays_of_another_shape(raw_file):
    frame, _ = read_raw(raw_file())
    with pytest.raises(ValueError, match="the window says"):
        Frame(frame.data[1:], frame.uncertainty, frame.flags, frame.header, frame.window)


@pytest.mark.real
def test_real_frames_are_read(real_frames):
    frame, info = read_raw(real_frames / "sp_400m1.fits")
    assert frame.data.shape == (400, 4142)
    assert 480 < float(np.median(frame.data[:, 5:49])) < 510  # bias level 492.5 measured
    assert info.gain == 1.45
    with pytest.raises(BadFrameError, match=r"10 x 10 pixels.* 4142 x 948 were read out"):
        read_raw(real_frames / "goodman_red_spec.fits")


def test_peak_memory_of_reading(raw_file):
    """Reading holds few copies at a time: raw integers, data, uncertainty, flags."""
    path = raw_file(data=ramp())
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from goodman_live.pipeline.products.fits import read_raw\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "frame, _ = read_raw(Path(sys.argv[1]))\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print((after - before) * 1024 / frame.data.nbytes)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 4.0
