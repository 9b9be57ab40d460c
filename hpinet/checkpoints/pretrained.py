"""`HPINet` as other libraries of the Hub know their networks: `from_pretrained`, `save_pretrained`, `push_to_hub`."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from hpinet import model
from hpinet.checkpoints.files import CARD, CONFIG, WEIGHTS, read_tensors
from hpinet.errors import CheckpointError
from hpinet.model import HPINetConfig, load_weights


class HPINet(model.HPINet, PyTorchModelHubMixin):
    """`hpinet.model.HPINet`, the same network, with what the Hub's mixin gives a class.

    ``HPINet.from_pretrained("owner/name")``, or of a folder, is strict: config.json has the fields of `HPINetConfig`,
    model.safetensors exactly the tensors of that network and, where a card tells it, the card's SHA-256. Pickles are
    never opened. Arguments are ``revision``, ``cache_dir``, ``force_download``, ``local_files_only`` and ``token``,
    which mean what they do for the Hub's client, and ``config`` in place of config.json. Raises CheckpointError,
    TypeError for any other argument, and from the Hub what its client raises.
    """

    # The annotation is a string on purpose: given the class itself, the mixin would build it from config.json before
    # `_from_pretrained` sees the values, and drop unknown fields silently.
    def __init__(self, config: "HPINetConfig") -> None:
        super().__init__(config)

    @classmethod
    def _from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride] (no more arguments, on purpose)
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        config: HPINetConfig | dict[str, Any] | None = None,
    ) -> "HPINet":
        """Called by the mixin with its own arguments, what else was given, and what it found in config.json."""
        if config is None:
            raise CheckpointError(f"{model_id} has no {CONFIG}.")
        with torch.device("meta"):  # a few words may say that the network is larger than the machine
            network = cls(config if isinstance(config, HPINetConfig) else HPINetConfig.from_dict(config))
        folder = Path(model_id)
        if not folder.is_dir():
            fetch = partial(
                hf_hub_download,
                model_id,
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
            with suppress(EntryNotFoundError):  # the card, where there is one, in the folder that the weights come to
                fetch(filename=CARD)
            folder = Path(fetch(filename=WEIGHTS)).parent
        load_weights(network, read_tensors(folder))
        return network.eval()
