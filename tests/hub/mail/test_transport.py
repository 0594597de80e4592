"""Letters to a real SMTP server, protected and not, and into the folder."""

import email
import logging
import stat
from email.policy import default

import pytest

from goodman_live.hub.mail.letters import Kind, make_message, write_letter
from goodman_live.hub.mail.settings import MailSettingError, MailSettings, Security, mail_settings
from goodman_live.hub.mail.transport import (
    FolderMailer,
    MailError,
    RefusedError,
    SmtpMailer,
    make_mailer,
)

# The server of these tests does not count a line that is TLS from its first byte as such.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.fixture
def message():
    letter = write_letter(Kind.INVITATION, "Sam <b>", {"proposal": "SOAR2026A-001"}, "http://h/x")
    return make_message(letter, sender="live@example.org", recipient="sam@example.org")


@pytest.fixture
def settings(tmp_path, certificate):
    def make(inbox, security, **more):
        secret = tmp_path / "password"
        secret.write_text("correct-horse\n")
        values = {
            "folder": tmp_path / "mail",
            "host": "127.0.0.1",
            "port": inbox.port,
            "security": Security(security),
            "user": "robot",
            "password_file": secret,
            "ca_file": certificate[0],
        }
        return MailSettings(**(values | more))

    return make


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_letter_goes_over_tls_with_name_and_password(smtp_server, settings, message, security):
    inbox = smtp_server(security, auth=True)
    make_mailer(settings(inbox, security)).send(message)
    [(recipients, content)] = inbox.taken
    assert recipients == ["sam@example.org"]
    assert inbox.signed_in == 1
    got = email.message_from_bytes(content, policy=default)
    assert got["Subject"] == "Your account at Goodman Live"
    assert "http://h/x" in got.get_body(("plain",)).get_content()
    html = got.get_body(("html",)).get_content()
    assert "Sam &lt;b&gt;" in html
    assert 'href="http://h/x"' in html


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_does_not_prove_itself_gets_nothing(
    smtp_server, settings, message, security
):
    inbox = smtp_server(security, auth=True)
    with pytest.raises(MailError, match="certificate"):
        SmtpMailer(settings(inbox, security, ca_file=None)).send(message)
    assert inbox.taken == []
    assert inbox.signed_in == 0


def test_a_server_without_starttls_gets_nothing(smtp_server, settings, message):
    inbox = smtp_server("none")
    with pytest.raises(MailError, match="STARTTLS"):
        SmtpMailer(settings(inbox, "starttls")).send(message)
    assert inbox.taken == []


def test_a_wrong_password_may_be_mended(smtp_server, settings, message, tmp_path):
    inbox = smtp_server("starttls", auth=True)
    wrong = tmp_path / "wrong"
    wrong.write_text("battery-staple")
    with pytest.raises(MailError, match="did not accept") as caught:
        SmtpMailer(settings(inbox, "starttls", password_file=wrong)).send(message)
    assert not caught.value.lasting
    assert "battery" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "lasting"), [("451 later", False), ("552 too big", True), ("554 no", True)]
)
def test_a_busy_server_is_tried_again_and_a_refusal_is_not(
    smtp_server, settings, message, answer, lasting
):
    inbox = smtp_server("none")
    inbox.answers.append(answer)
    with pytest.raises(MailError, match=answer[:3]) as caught:
        SmtpMailer(settings(inbox, "none", user="")).send(message)
    assert isinstance(caught.value, RefusedError) is lasting


def test_no_server_at_all_is_a_failure_that_may_pass(settings, message, smtp_server, free_port):
    inbox = smtp_server("none")
    with pytest.raises(MailError, match="could not be used") as caught:
        SmtpMailer(settings(inbox, "none", port=free_port())).send(message)
    assert not caught.value.lasting


def test_the_folder_is_for_its_owner_alone_and_said_in_the_log(tmp_path, message, caplog):
    caplog.set_level(logging.INFO)
    FolderMailer(tmp_path / "mail").send(message)
    [path] = (tmp_path / "mail").iterdir()
    assert path.suffix == ".eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "sam@example.org" in caplog.text
    got = email.message_from_bytes(path.read_bytes(), policy=default)
    assert "http://h/x" in got.get_body(("plain",)).get_content()


def test_a_folder_that_cannot_be_written_says_so(tmp_path, message):
    (tmp_path / "mail").write_text("a file in the way")
    with pytest.raises(MailError, match="could not be written"):
        FolderMailer(tmp_path / "mail").send(message)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"GOODMAN_SMTP_PORT": "99999"}, "no.* a port|is not a port"),
        ({"GOODMAN_SMTP_SECURITY": "hope"}, "starttls, tls, none"),
        ({"GOODMAN_SMTP_USER": "robot"}, "PASSWORD_FILE"),
        (
            {
                "GOODMAN_SMTP_USER": "robot",
                "GOODMAN_SMTP_PASSWORD_FILE": "/x",
                "GOODMAN_SMTP_SECURITY": "none",
            },
            "in the clear",
        ),
    ],
)
def test_settings_that_cannot_work_are_named(environ, says):
    with pytest.raises(MailSettingError, match=says):
        mail_settings({"GOODMAN_SMTP_HOST": "mail.example.org", **environ})


def test_without_a_server_mail_goes_into_the_data_root(tmp_path):
    settings = mail_settings({"GOODMAN_DATA": str(tmp_path)})
    mailer = make_mailer(settings)
    assert isinstance(mailer, FolderMailer)
    assert mailer.folder == tmp_path / "mail"
