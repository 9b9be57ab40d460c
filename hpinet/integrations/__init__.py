"""HPINet for other people's tools: ONNX files, and spandrel, by which ComfyUI and chaiNNer load networks."""
