"""Engines run an HPINet over a whole picture in bounded memory."""
