#!/bin/sh -e
server=$1 picture=$2  # for example http://127.0.0.1:7860 and photo.jpg

path=$(curl -sf -F "files=@$picture" "$server/gradio_api/upload" | cut -d'"' -f2)
image='{"path": "'$path'", "orig_name": "'$(basename "$picture")'", "meta": {"_type": "gradio.FileData"}}'
event=$(curl -sf "$server/gradio_api/call/v2/upscale" -H 'Content-Type: application/json' \
  -d '{"image": '"$image"', "model": "T", "scale": 4}' | cut -d'"' -f4)
url=$(curl -sfN "$server/gradio_api/call/v2/upscale/$event" | grep -o '"url": *"[^"]*"' | cut -d'"' -f4)
curl -sfO "$url"
basename "$url"
