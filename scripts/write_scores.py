"""Measures checkpoints on a benchmark for the README's tables of scores; bundled ones get theirs into their cards too.

python -m scripts.write_scores Set5/HR "Set5/LR_bicubic/X{scale}" [HPINet-M-x4.pth ...]

One table is of the benchmark as it is, the other of the bundled models on it saved as JPEG.
"""

import sys
from pathlib import Path

from hpinet.evaluation import (
    evaluate,
    evaluate_bundled,
    evaluate_compressed,
    write_compressed_table,
    write_score_table,
)
from hpinet.terminal import bars
from hpinet.upscaler import Upscaler

README = Path(__file__).parents[1] / "README.md"


def main(hr: str, lr: str, *others: str) -> None:
    with bars() as bar:
        evaluations = evaluate_bundled(Path(hr), lr=lr, progress=bar("bundled"))
        for weights in others:
            upscaler = Upscaler.load(Path(weights))
            small = Path(lr.format(scale=upscaler.scale))
            evaluations.append(evaluate(upscaler, Path(hr), lr=small, progress=bar(weights)))
        write_score_table(README, evaluations)
        write_compressed_table(README, evaluate_compressed(Path(hr), lr=lr, progress=bar("on JPEGs")))


if __name__ == "__main__":
    main(*sys.argv[1:])
