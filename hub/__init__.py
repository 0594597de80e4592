"""Accounts, proposals and sign-in for JupyterHub."""
