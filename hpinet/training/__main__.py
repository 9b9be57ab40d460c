"""`accelerate launch -m hpinet.training run …`: the training commands by themselves, for several processes."""

from hpinet.training.cli import train_app

if __name__ == "__main__":
    train_app()
