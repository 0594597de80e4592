"""A whole night through ``goodman-live reduce`` and through the peer, on the same files.

Prints wall time, CPU time and memory of both with their ratios, and the error of both
wavelength axes against the simulated truth.

    python benchmarks/bench_night.py [--binning 2x2] [--no-peer]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits
from peer import Measured, measure, peer_environment, run_peer

from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.plan import bench_night


def wavelength_errors(folder: Path, truth: Path, pattern: str) -> list[tuple[str, float, float]]:
    """Return (name, mean error, rms error) in Angstrom of each calibrated spectrum.

    Every spectrum is held against the simulated source it lies nearest to, over the columns of
    its own axis between the outermost lamp lines (3650 to 7032 A).
    """
    out = []
    for path in sorted(folder.rglob(pattern)):
        stem = next((p for p in truth.glob("*.npz") if p.stem in path.name), None)
        if stem is None or "_comp" in path.name:
            continue
        with fits.open(path) as hdus:
            table = hdus["SPECTRUM"].data
            names = {n.lower(): n for n in table.names}
            wave = np.asarray(table[names["wavelength"]], float)
            header = hdus[0].header
            column = np.asarray(table["column"], float) if "column" in names else None
        arrays = np.load(stem)
        true = nearest_wavelength(arrays, wave, column, header)
        inside = (true > 3650) & (true < 7032)
        error = (wave - true)[inside]
        out.append((path.name, float(error.mean()), float(np.sqrt(np.mean(error**2)))))
    return out


def nearest_wavelength(
    arrays: np.lib.npyio.NpzFile,
    wave: np.ndarray,
    column: np.ndarray | None,
    header: fits.Header,
) -> np.ndarray:
    """Return the true wavelength of each pixel, of the source whose axis fits best.

    Ours state the unbinned column of each pixel; the peer's first pixel is the first column of
    its trim section.
    """
    binning = int(header["CCDSUM"].split()[0])
    if column is None:
        first = int(header["GSP_TRIM"].strip("[]").split(":")[0]) - 1
        column = (first + np.arange(wave.size)) * binning + (binning - 1) / 2
    candidates = [k for k in arrays.files if k.startswith("wavelength_")]
    native = np.arange(arrays[candidates[0]].size) * binning + (binning - 1) / 2
    options = [np.interp(column, native, arrays[k]) for k in candidates]
    return min(options, key=lambda x: abs(np.median(wave - x)))


def show(label: str, cost: Measured) -> None:
    print(f"  {label:22s} wall {cost.wall_s:7.1f} s   CPU {cost.cpu_s:7.1f} s   "
          f"peak {cost.peak_mb:7.0f} MB   exit {cost.returncode}")  # fmt: skip


def run(binning: str, *, with_peer: bool) -> None:
    xbin, ybin = (int(x) for x in binning.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_night(work, bench_night(1, binning=(xbin, ybin)))
        raw, truth = work / "RAW", work / "TRUTH"
        print(f"night of 10 bias, 10 flats, 4 science, 6 arcs, Red 400_M1 {binning}")
        program = str(Path(sys.executable).with_name("goodman-live"))
        ours = measure(
            [program, "reduce", str(raw), str(work / "ours")], cwd=work, log=work / "ours.log"
        )
        show("goodman-live reduce", ours)
        report("ours", wavelength_errors(work / "ours", truth, "we*.fits"))
        if not with_peer:
            return
        ccd, spec = run_peer(raw, work, peer_environment())
        show("peer redccd", ccd)
        show("peer redspec", spec)
        report("peer", wavelength_errors(work / "peer_red", truth, "we*.fits"))
        total = ccd + spec
        wall, cpu = ours.wall_s / total.wall_s, ours.cpu_s / total.cpu_s
        memory = ours.peak_mb / total.peak_mb
        print(f"  ours / peer: wall {wall:.2f}   CPU {cpu:.2f}   memory {memory:.2f}")


def report(who: str, errors: list[tuple[str, float, float]]) -> None:
    for name, mean, rms in errors:
        print(f"    {who}: {name:60s} mean {mean:+7.3f} A   rms {rms:6.3f} A")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binning", action="append", help="default: 2x2 and 1x1")
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    for binning in options.binning or ["2x2", "1x1"]:
        run(binning, with_peer=not options.no_peer)


if __name__ == "__main__":
    main()
