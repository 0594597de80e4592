"""The family of errors: each carries an HTTP status, a code and a text for the reader."""

from __future__ import annotations


class GoodmanError(Exception):
    """Base of every error that a user is meant to read.

    Parameters
    ----------
    message : str
        What happened, naming the file and the keyword.
    remedy : str, optional
        What the reader can do about it.
    field : str, optional
        The header keyword, setting or request parameter at fault.
    """

    status: int = 500
    """HTTP status with which the API answers."""
    code: str = "error"
    """Stable, machine-readable name."""

    def __init__(self, message: str, *, remedy: str = "", field: str = "") -> None:
        super().__init__(message if not remedy else f"{message} {remedy}")
        self.message = message
        self.remedy = remedy
        self.field = field

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword arguments, so that workers can send errors home."""
        return (_rebuild, (type(self), self.message, self.remedy, self.field))


def _rebuild(kind: type[GoodmanError], message: str, remedy: str, field: str) -> GoodmanError:
    return kind(message, remedy=remedy, field=field)


class BadFrameError(GoodmanError):
    """A file that cannot be taken as a Goodman frame: truncated, not FITS, wrong size."""

    status = 422
    code = "bad_frame"


class BadHeaderError(BadFrameError):
    """A header that lacks what no rule can infer."""

    code = "bad_header"


class MissingCalibrationError(GoodmanError):
    """No suitable master or arc: a state to wait in, not a crash."""

    status = 409
    code = "missing_calibration"


class NoTargetError(GoodmanError):
    """No source stands above the noise; one may be placed by hand."""

    status = 422
    code = "no_target"


class UntrustedSolutionError(GoodmanError):
    """A wavelength solution that its own checks do not support."""

    status = 422
    code = "untrusted_solution"


class SettingsError(GoodmanError):
    """A setting outside its accepted values."""

    status = 400
    code = "bad_setting"


class DiskFullError(GoodmanError):
    """A product could not be written whole; nothing was left behind."""

    status = 507
    code = "disk_full"
