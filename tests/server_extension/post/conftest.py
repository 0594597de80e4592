"""The mail server's fixtures are those of the mail: ``smtp_server``, ``certificate``."""

from tests.hub.mail.conftest import certificate, smtp_server

__all__ = ["certificate", "smtp_server"]
