"""Work without controls, shared by tabs and endpoints."""
