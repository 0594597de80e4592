"""Fixtures of the webhooks' tests: ``catalogue``, ``receiver`` (https) and its ``certificate``."""

from tests.hub.mail.conftest import certificate
from tests.server_extension.catalogue.conftest import catalogue

from .https_receiver import receiver

__all__ = ["catalogue", "certificate", "receiver"]
