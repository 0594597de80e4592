"""What somebody does in a browser with an installation, run on its own machine.

``visit.py ADDRESS NAME PASSWORD COMMAND ...`` prints what it saw and fails with what it saw
instead. Each command signs in and opens a page: ``page`` nothing else, ``invited FOLDER`` takes
the invitation from the letters there before, ``reduced TYPE NUMBER`` waits for products after.
"""

import email
import email.policy
import re
import sys
import time
from pathlib import Path

import httpx

PATIENCE_S = 240


class Visitor:
    """A browser, as far as it matters, of one person."""

    def __init__(self, address, name, password):
        self.address, self.name, self.password = address, name, password
        self.client = httpx.Client(follow_redirects=True, timeout=120, trust_env=True)

    def wait(self, look, what):
        """Return what `look` finds, as soon as it finds something."""
        end, last = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < end:
            try:
                if found := look():
                    return found
            except (httpx.TransportError, ValueError) as error:
                last = error
            time.sleep(1)
        sys.exit(f"waited in vain: {what} ({last})")

    def get(self, path):
        return self.client.get(path if "://" in path else self.address + path)

    def up(self):
        """Wait until Hub and service answer."""
        for path in ("/hub/health", "/services/goodman/api/"):
            self.wait(lambda path=path: self.get(path).status_code == 200, path)

    def take_invitation(self, letters):
        """Set the password by the link of the letter."""

        def link():
            for path in sorted(Path(letters).glob("*.eml")):
                letter = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                text = letter.get_body(("plain",)).get_content()
                if found := re.search(r"https?://\S+/hub/set-password\?token=\S+", text):
                    return found[0]
            return None

        self.set_password(self.wait(link, "an invitation"))

    def set_password(self, link):
        form = {
            "token": re.search(r"token=([^&\s]+)", link)[1],
            "username": self.name,
            **dict.fromkeys(("new", "again"), self.password),
        }
        self.fill(link, form)

    def fill(self, path, form):
        """Open a page and send the form on it."""
        shown = self.get(path)
        assert shown.status_code == 200, shown.text[-2000:]
        token = re.search(r'name="_xsrf" value="([^"]+)"', shown.text)[1]
        url = str(shown.url).split("?", 1)[0]
        answer = self.client.post(url, data={**form, "_xsrf": token})
        assert answer.status_code not in {401, 403, 404, 422}, answer.text[-2000:]
        return answer

    def sign_in(self):
        form = {"username": self.name, "password": self.password}
        answer = self.fill("/hub/login", form)
        assert "/hub/login" not in str(answer.url), answer.text[-2000:]

    def open_page(self, page="home"):
        """Open a page of one's own server, as its kernel fills it."""
        path = f"/hub/user-redirect/voila/render/pages/{page}.ipynb"
        url = f"{self.address}{path}"

        def filled():
            answer = self.client.get(url)
            there = answer.status_code == 200 and "/voila/" in str(answer.url)
            return there and "application/vnd.jupyter.widget-view+json" in answer.text and answer

        answer = self.wait(filled, f"the page {page}")
        assert "Traceback" not in answer.text, answer.text[-3000:]
        return str(answer.url)

    def files(self, **wanted):
        """Return the frames of a kind, by the API."""
        answer = self.client.get(f"{self.address}/services/goodman/api/files/", params=wanted)
        if answer.status_code != 200:
            raise ValueError(answer.text[-500:])
        return answer.json()["results"]

    def products(self, data_type, number):
        """Wait for so many frames of a type."""
        self.get("/services/goodman/api/docs/")  # the service asks the Hub who this is

        def found():
            there = self.files(data_type=data_type, page_size=200)
            return len(there) >= number and there

        for one in self.wait(found, f"{number} of type {data_type}"):
            sys.stdout.write(f"{one['file_name']}\n")


def main():
    address, name, password, command, *words = sys.argv[1:]
    visitor = Visitor(address, name, password)
    visitor.up()
    if command == "invited":
        visitor.take_invitation(words[0])
    visitor.sign_in()
    sys.stdout.write(f"{visitor.open_page()}\n")
    if command == "reduced":
        visitor.products(int(words[0]), int(words[1]))


if __name__ == "__main__":
    main()
