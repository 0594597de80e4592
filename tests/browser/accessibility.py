"""What axe-core finds on a page: WCAG 2.2 A and AA, and its own best practices."""

from axe_playwright_python.sync_playwright import Axe

RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}


def faults(page, context=None):
    """Return a line for each fault of the page as it stands: rule, what it means, where.

    `context` is a selector of the part to look at; by default the whole page is.
    """
    found = Axe().run(page, context=context, options=RULES).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {node['target']}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]
