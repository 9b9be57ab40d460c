"""`accelerate launch -m hpinet.training run …`: the training commands by themselves, for several processes."""

import sys

from hpinet.errors import HPINetError
from hpinet.training.cli import train_app

if __name__ == "__main__":
    try:
        train_app()
    except HPINetError as error:
        sys.exit(f"Error: {error}")
