"""HPINet for spandrel, the library by which ComfyUI, chaiNNer and others recognise and load weights.

``install()`` adds it to spandrel's main registry; from then on its loaders read our ``.safetensors`` and the authors'
``.pth``. See `hpinet.integrations.comfyui` for ComfyUI.
"""

from spandrel import MAIN_REGISTRY, Architecture, ArchSupport, ImageModelDescriptor, ModelTiling, StateDict
from torch import Tensor

from hpinet.checkpoints.files import infer_config, variant_name
from hpinet.model import HPINet

ID = "HPINet"


class HPINetArchitecture(Architecture[HPINet]):
    """What spandrel needs to recognise HPINet's weights and to make the network for them."""

    def __init__(self) -> None:
        super().__init__(id=ID, detect=_is_hpinet)

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[HPINet]:
        """The network with these weights, which `_is_hpinet` recognised. Raises CheckpointError for unknown widths."""
        config = infer_config(state_dict)
        return ImageModelDescriptor(
            HPINet(config),
            state_dict,
            architecture=self,
            purpose="SR",
            tags=[variant_name(config)],
            supports_half=False,  # matching needs single precision: `hpinet.engines` mixes both
            supports_bfloat16=False,
            scale=config.scale,
            input_channels=3,
            output_channels=3,
            # A patch refers to the most similar patch of the whole picture: a tile knows only its own.
            tiling=ModelTiling.DISCOURAGED,
            call_fn=_enlarged,
        )


def install() -> None:
    """Adds HPINet to spandrel's main registry, unless it is there."""
    MAIN_REGISTRY.add(ArchSupport.from_architecture(HPINetArchitecture()), ignore_duplicates=True)


def _is_hpinet(state_dict: StateDict) -> bool:
    names = ("first_conv.weight", "cross_match.0.norm.weight", "blocks.0.layers.0.0.fn.to_q.weight", "last_conv.bias")
    return all(name in state_dict for name in names)


def _enlarged(model: HPINet, image: Tensor) -> Tensor:
    return model(image).clamp(0, 1)
