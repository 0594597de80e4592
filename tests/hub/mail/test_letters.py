"""Letters cannot be made to carry other headers, readers or markup."""

import email
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodman_live.hub.mail.letters import (
    BadLetterError,
    Kind,
    Letter,
    check_subject,
    make_message,
    write_letter,
)

HEADERS = {"from", "to", "subject", "date", "message-id", "auto-submitted"} | {
    "content-type",
    "mime-version",
}


def as_read(message):
    return email.message_from_bytes(message.as_bytes(), policy=default)


@pytest.mark.parametrize("sign", ["\r\n", "\n", "\r", "\0", "\u2028", "\x85", "\x0b"])
def test_a_subject_is_one_line(sign):
    with pytest.raises(BadLetterError, match="one line"):
        check_subject(f"Clouds{sign}Bcc: victim@example.org")


@pytest.mark.parametrize(
    "address",
    [
        "a@b.org\r\nBcc: victim@example.org",
        "a@b.org, victim@example.org",
        "a@b.org\n",
        "<a@b.org>",
        "a b@c.org",
        "nobody",
        "",
    ],
)
def test_an_address_is_one_address(address):
    with pytest.raises(BadLetterError, match="no e-mail address"):
        make_message(Letter("Hi", ("x",)), sender="live@example.org", recipient=address)


@given(subject=st.text(max_size=250), body=st.text(max_size=300), name=st.text(max_size=60))
def test_whatever_is_typed_the_headers_are_ours(subject, body, name):
    letters = [
        write_letter(Kind.NOTICE, "", {"subject": subject, "message": body}),
        write_letter(Kind.FAILED, name, {"proposal": subject, "count": 1, "lines": [body]}),
    ]
    for letter in letters:
        try:
            message = make_message(letter, sender="l@example.org", recipient="sam@example.org")
            raw = message.as_bytes()
        except BadLetterError:
            continue
        got = email.message_from_bytes(raw, policy=default)
        assert {key.lower() for key in got} == HEADERS
        assert len(got) == len(HEADERS)
        assert got["To"] == "sam@example.org"


def test_words_of_people_are_text_and_not_markup():
    letter = write_letter(Kind.NOTICE, "", {"subject": "x", "message": "<script>1</script>"})
    got = as_read(make_message(letter, sender="l@example.org", recipient="sam@example.org"))
    assert "<script>" not in got.get_body(("html",)).get_content()
    assert "<script>" in got.get_body(("plain",)).get_content()


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_can_be_written(kind):
    values = {"proposal": "P", "subject": "S", "message": "M", "count": 2, "lines": ["f.fits"]}
    letter = write_letter(kind, "Sam Ñ", values, "http://h/x")
    got = as_read(make_message(letter, sender="l@example.org", recipient="sam@example.org"))
    assert got["Subject"]
    assert "http://h/x" in got.get_body(("plain",)).get_content()
