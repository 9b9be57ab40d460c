"""`python -m hpinet`."""

from hpinet.cli import main

main()
