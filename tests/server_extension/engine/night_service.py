"""An engine on its watch folder, as a process that a test can kill: ``URL FOLDER``.

The folder holds ``profile.yaml`` and tells the process what to suffer: seconds in ``clock`` are
added to its wall clock, and with a file ``poison`` the reduce block dies of frames so named.
"""

import asyncio
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from goodman_live.hub.accounts.clock import set_clock
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.engine import blocks
from goodman_live.server_extension.engine.engine import Engine, EngineSettings
from goodman_live.server_extension.engine.profile import load_profile


def jumping(path: Path) -> float:
    """Return the time as the test's clock tells it."""
    return time.time() + (float(path.read_text()) if path.exists() else 0.0)


async def main(url: str, folder: Path) -> None:
    set_clock(lambda: jumping(folder / "clock"))
    if (folder / "poison").exists():
        poisoned = replace(blocks.REDUCE, module="odd_blocks", function="poisoned")
        blocks.BLOCKS["reduce"] = poisoned
    migrate(url)
    settings = EngineSettings(
        (folder / "raw",), folder / "products", folder / "work", coalesce_s=0.5
    )
    profile = load_profile(str(folder / "profile.yaml"))
    engine = Engine(Catalogue(url), settings, profile=profile)
    parent = os.getppid()
    await engine.start()
    (folder / "started").touch()
    try:
        while os.getppid() == parent:
            resting = folder / "resting.new"
            resting.write_text(str(int(engine.resting)))
            resting.replace(folder / "resting")
            await asyncio.sleep(0.1)
    finally:
        await engine.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
