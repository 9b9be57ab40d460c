"""Enlarges a picture: `python upscale.py http://127.0.0.1:7860 photo.jpg`."""

import sys

from gradio_client import Client, handle_file

server, picture = sys.argv[1:3]  # for example http://127.0.0.1:7860 or a Space, OWNER/NAME; and photo.jpg

client = Client(server)
larger = client.predict(handle_file(picture), model="T", scale=4, api_name="/upscale")
print(larger)  # path of the downloaded PNG
