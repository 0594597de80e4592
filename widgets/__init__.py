"""The Voilà pages: client, components and pages."""
