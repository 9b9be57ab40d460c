"""`accelerate launch -m hpinet.training run …`: the training commands by themselves, for several processes."""

from hpinet.terminal import run
from hpinet.training.cli import train_app

if __name__ == "__main__":
    run(train_app, name="python -m hpinet.training")
