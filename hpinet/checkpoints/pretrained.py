"""`HPINet` as other libraries of the Hub know their networks: `from_pretrained`, `save_pretrained`, `push_to_hub`."""

from contextlib import suppress
from pathlib import Path
from typing import Any

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
    never opened. Raises CheckpointError, and from the Hub what its client raises.
    """

    # The annotation is a string on purpose: given the class itself, the mixin would build it from config.json before
    # `_from_pretrained` sees the values, and drop unknown fields silently.
    def __init__(self, config: "HPINetConfig") -> None:
        super().__init__(config)

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, config: HPINetConfig | dict[str, Any] | None = None, **options: Any
    ) -> "HPINet":
        """Called by the mixin with what it found in config.json; ``options`` are those of `hf_hub_download`."""
        if config is None:
            raise CheckpointError(f"{model_id} has no {CONFIG}.")
        network = cls(config if isinstance(config, HPINetConfig) else HPINetConfig.from_dict(config))
        folder = Path(model_id) if Path(model_id).is_dir() else _fetched(model_id, options)
        load_weights(network, read_tensors(folder))
        return network.eval()


def _fetched(repository: str, options: dict[str, Any]) -> Path:
    """Weights of a repository, and the card where it has one, in the folder of the Hub's cache that they share."""
    with suppress(EntryNotFoundError):
        hf_hub_download(repository, CARD, **options)
    return Path(hf_hub_download(repository, WEIGHTS, **options)).parent
