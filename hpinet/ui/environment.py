"""What must be settled before Gradio and PyTorch are imported; `hpinet.ui` imports this first."""

import atexit
import os
import shutil
import tempfile

# Uploads and results live in a folder of this process's own: it can be swept without touching other programs' files.
if "GRADIO_TEMP_DIR" not in os.environ:
    os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="hpinet-")
    atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)

# The page reports to nobody.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault(
    "HF_HUB_DISABLE_TELEMETRY", "1"
)  # at the first call of an MCP tool, it would ask the Hub for news

import spaces  # noqa: F401  (ZeroGPU patches torch, so it comes before anything that may touch CUDA)
