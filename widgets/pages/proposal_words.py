"""What a proposal is called on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from goodman_live.widgets.pages.reader import full_name

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED = frozenset({"calibrate", "SOAR", "GHTS_ENGINEERING"})
"""Proposals of everybody; they have no PI."""
NONE_YET = (
    "You have no proposal yet. Its PI, or staff, add you with the e-mail address of your account;"
    " whom to ask stands at the bottom of this page."
)
"""Said to who belongs to no proposal."""
NONE_FITS = "No proposal fits what you look for. Clear the field to see all."


def data_links(soar_id: str) -> dict[str, str]:
    """Return the addresses of a proposal's data, as details and as table."""
    key = quote(soar_id, safe="")
    return {"details": f"data.ipynb?proposal={key}", "table": f"search.ipynb?proposal_id={key}"}


def is_member(proposal: Mapping[str, Any], me: Mapping[str, Any]) -> bool:
    """Tell whether the reader is staff or belongs to the proposal."""
    people = [proposal.get("user"), *(proposal.get("collaborators") or ())]
    return bool(me.get("is_staff")) or me.get("id") in [one["id"] for one in people if one]


def may_lead(proposal: Mapping[str, Any], me: Mapping[str, Any]) -> bool:
    """Tell whether the reader may change people and settings: the PI and staff."""
    pi = proposal.get("user")
    return bool(me.get("is_staff")) or bool(pi and pi.get("id") == me.get("id"))


def card(proposal: Mapping[str, Any], me: Mapping[str, Any], news: str = "") -> dict[str, Any]:
    """Return a proposal as the list that unfolds shows it."""
    facts = [f"Semester {proposal['semester']}" if proposal.get("semester") else ""]
    if proposal.get("public_date"):
        facts.append(f"public from {str(proposal['public_date'])[:10]}")
    return {
        "key": proposal["id"],
        "soar_id": proposal["soar_id"],
        "pi": full_name(proposal.get("user")),
        "title": proposal["title"],
        "abstract": proposal["abstract"],
        "people": [full_name(one) for one in proposal.get("collaborators") or ()],
        "facts": ", ".join(fact for fact in facts if fact),
        "news": news,
        "member": is_member(proposal, me),
    }


def row(proposal: Mapping[str, Any], me: Mapping[str, Any]) -> dict[str, Any]:
    """Return a proposal as a row of a table."""
    links = data_links(str(proposal["soar_id"]))
    number, people = proposal["id"], len(proposal.get("collaborators") or ())
    actions = [
        {"key": "details", "label": "as details", "href": links["details"]},
        {"key": "table", "label": "as table", "href": links["table"]},
    ]
    if is_member(proposal, me):
        base = f"proposals.ipynb?proposal={number}&show="
        actions += [
            {"key": "collaborators", "label": "Collaborators", "href": base + "collaborators"},
            {"key": "settings", "label": "Settings", "href": base + "settings"},
        ]
    return {
        "key": number,
        "name": proposal["soar_id"],
        "soar_id": proposal["soar_id"],
        "link": links["details"],
        "pi": full_name(proposal.get("user")),
        "title": proposal["title"],
        "abstract": shorten(str(proposal["abstract"])),
        "more": str(proposal["abstract"]),
        "semester": proposal.get("semester") or "",
        "people": people,
        "actions": actions,
    }


def shorten(text: str, most: int = 90) -> str:
    """Return the beginning of a text, cut at a word."""
    if len(text) <= most:
        return text
    return text[:most].rsplit(" ", 1)[0].rstrip(".,; ") + " …"
