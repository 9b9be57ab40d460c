"""The page as a ZeroGPU Space, in a process of its own: the real `spaces`, on a machine and a PyTorch without CUDA.

What is not real: the driver. Tensors "on the GPU" are on the CPU, by the emulation that `spaces` has for the main
process; here workers keep it. Run by `conftest.py`, which sets `SPACES_ZERO_GPU` and the scheduler's address.
"""

import functools
from concurrent.futures import ThreadPoolExecutor

import torch

torch.version.cuda = "12.8"
torch.cuda._is_in_bad_fork = bool  # False, and can be pickled
setattr(torch._C, "_cuda_init", lambda: None)  # noqa: B010 (a build without CUDA has none)

from spaces.zero import torch as emulation  # noqa: E402
from spaces.zero import wrappers  # noqa: E402
from spaces.zero.torch import patching  # noqa: E402

_unpacked: dict[torch.Tensor, torch.Tensor] = {}
_pack = patching.pack


def pack() -> int:
    """The real one, which leaves tensors on disk alone; what they held is kept for workers."""
    _unpacked.update({fake: original for fake, original in patching.cuda_aliases.items() if original is not None})
    return _pack()


def move(callback: object = None) -> None:
    """To the GPU, in a worker."""
    patching.cuda_aliases.update(_unpacked)


_arguments = getattr(torch._C, "_nn")  # noqa: B009 (unknown to type checkers)
_parse_to = _arguments._parse_to


def parse_to(*args: object, **kwargs: object) -> tuple[object, ...]:
    """The real one, but for `tensor.to(other)`: there the emulation takes every other tensor for one on the CPU."""
    if args and isinstance(args[0], torch.Tensor) and args[0] in patching.cuda_aliases:
        return torch.device("cuda", 0), args[0].dtype, False, None
    return _parse_to(*args, **kwargs)


_arguments._parse_to = parse_to
emulation.pack = pack
emulation.move = move
emulation.init = lambda _uuid: None
emulation.unpatch = lambda: None
# PyTorch's modes are of one thread; workers compute in threads of this kind.
wrappers.ThreadPoolExecutor = functools.partial(ThreadPoolExecutor, initializer=patching.enter_mode)

if __name__ == "__main__":
    from hpinet.ui import create_demo, launch_options

    create_demo().launch(**launch_options())
