"""Pieces of the page that tabs share."""
