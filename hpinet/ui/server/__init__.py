"""What stands before Gradio: what it is sent, and where files lie."""
