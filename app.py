"""Serves the page: `python app.py`. On a Hugging Face Space this file is the entry point."""

from hpinet.ui import create_demo, end_in_order, launch_options

demo = create_demo()

if __name__ == "__main__":
    end_in_order()
    demo.launch(**launch_options())
