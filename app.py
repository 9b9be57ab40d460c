"""Serves the page: `python app.py`. On a Hugging Face Space this file is the entry point."""

from hpinet.ui import create_demo, launch_options

demo = create_demo()

if __name__ == "__main__":
    demo.launch(**launch_options())
