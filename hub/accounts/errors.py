"""What can be wrong with an account or a proposal, in words for the reader."""

from __future__ import annotations

from goodman_live.pipeline.core.errors import GoodmanError


class AccountError(GoodmanError):
    """A request about accounts or proposals that cannot be granted as it stands."""

    status = 400
    code = "bad_account"


class WeakPasswordError(AccountError):
    """A password that breaks one of the four rules; `rules` holds every broken one's text."""

    code = "weak_password"

    def __init__(self, *rules: str) -> None:
        super().__init__(" ".join(rules), field="password")
        self.rules = rules

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the rules, not with the base's keyword arguments."""
        return (type(self), self.rules)


class WrongPasswordError(AccountError):
    """The old password that a change must prove did not match."""

    status = 403
    code = "wrong_password"


class TakenError(AccountError):
    """A user name, e-mail or SOAR id that is in use already."""

    status = 409
    code = "taken"


class NotAllowedError(AccountError):
    """Something that this person may not do, though they may see it."""

    status = 403
    code = "not_allowed"


class BadLinkError(AccountError):
    """A one-time link that never existed, was used, or is too old: all three read alike."""

    status = 404
    code = "bad_link"
