"""The script that downloads a search: what the reader takes home instead of an archive."""

from __future__ import annotations

from typing import Any

TEMPLATE = '''"""Download files of Goodman Live: made by its page Search.

Make an API token on the page Account and put it into the environment:

    GOODMAN_TOKEN=... python goodman_download.py [FOLDER]

Files that are there already, with the right checksum, are not loaded again.
"""

import hashlib
import os
import sys
from pathlib import Path

import requests

BASE = {base!r}
FILTERS = {filters!r}
IDS = {ids!r}  # these files alone; empty: all that fit the filters


def files(session):
    """Yield every file that is meant."""
    for number in IDS:
        answer = session.get(f"{{BASE}}api/files/{{number}}/")
        answer.raise_for_status()
        yield answer.json()
    url = "" if IDS else f"{{BASE}}api/files/"
    query = {{**FILTERS, "page_size": 100}}
    while url:
        answer = session.get(url, params=query)
        answer.raise_for_status()
        yield from answer.json()["results"]
        # The next address carries the query, and holds still while new files arrive.
        _, _, tail = (answer.json()["next"] or "").partition("?")
        url, query = (f"{{BASE}}api/files/?{{tail}}", None) if tail else ("", None)


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    folder.mkdir(parents=True, exist_ok=True)
    session = requests.Session()
    session.headers["Authorization"] = "Token " + os.environ["GOODMAN_TOKEN"]
    for file in files(session):
        path = folder / Path(file["file_name"]).name
        if path.exists() and file["sha256"] and digest(path) == file["sha256"]:
            continue
        part = path.with_name(path.name + ".part")
        query = {{"id": file["id"]}}
        with session.get(f"{{BASE}}api/files/download/", params=query, stream=True) as answer:
            answer.raise_for_status()
            with part.open("wb") as sink:
                for piece in answer.iter_content(2**20):
                    sink.write(piece)
        if file["sha256"] and digest(part) != file["sha256"]:
            sys.exit(f"{{path.name}} did not arrive whole; start again.")
        part.replace(path)
        print(path)


if __name__ == "__main__":
    main()
'''


def write(base: str, filters: dict[str, Any], ids: list[int]) -> str:
    """Return the script for a search.

    Parameters
    ----------
    base : str
        Address of the service, with a slash at its end.
    filters : dict
        Filters of the search; they are written as literals, whatever they contain.
    ids : list of int
        The files that were chosen; empty for all that fit.
    """
    return TEMPLATE.format(base=base, filters=filters, ids=ids)
