"""Backup and restore of a large catalogue: how long, and that nothing is lost.

python benchmarks/bench_restore.py [--rows 250000] [--url postgresql://... --empty postgresql://...]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench_catalogue import fill

from goodman_live.hub.operate.backup import Source, back_up, restore
from goodman_live.hub.operate.manifest import read_manifest
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=250_000)
    parser.add_argument("--url", default="", help="an empty PostgreSQL database to fill")
    parser.add_argument("--empty", default="", help="another one, to restore into")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here, there, kept = (Path(folder) / name for name in ("here", "there", "kept"))
        here.mkdir()
        url = arguments.url or f"sqlite:///{here}/goodman.sqlite"
        migrate(url)
        catalogue = Catalogue(url)
        fill(catalogue, arguments.rows)
        catalogue.close()
        start = time.perf_counter()
        back_up(Source(here, url), kept)
        backed_up_s = time.perf_counter() - start
        size = sum(one.size for one in read_manifest(kept).files.values())
        start = time.perf_counter()
        done = restore(kept, there, arguments.empty or f"sqlite:///{there}/goodman.sqlite")
        restored_s = time.perf_counter() - start
        print(f"{done.rows} rows in {size / 1e6:.0f} MB: ", end="")
        print(f"backup {backed_up_s:.1f} s, restore {restored_s:.1f} s")


if __name__ == "__main__":
    main()
