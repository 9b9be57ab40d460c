"""Makes the picture of shared links, `hpinet/ui/server/preview.jpg`: an example, as it is and as T enlarges it."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from hpinet import Upscaler
from hpinet.ui.server.preview import PICTURE, SIZE

EXAMPLE = Path(__file__).parents[1] / "examples" / "facade.png"
BAR = 110  # pixels below the picture


def main() -> None:
    width, height = SIZE
    half, tall = width // 2, height - BAR
    small = Image.open(EXAMPLE).convert("RGB")
    side = min(small.width, half // 4), min(small.height, tall // 4)
    left, top = (small.width - side[0]) // 2, (small.height - side[1]) // 2
    small = small.crop((left, top, left + side[0], top + side[1]))
    large = Upscaler.load("T", scale=4)(small)
    canvas = Image.new("RGB", SIZE, "#134f4d")
    for number, half_picture in enumerate((small.resize((half, tall), Image.Resampling.NEAREST), large)):
        canvas.paste(half_picture.resize((half, tall), Image.Resampling.LANCZOS), (number * half, 0))
    draw = ImageDraw.Draw(canvas)
    draw.line([(half, 0), (half, tall)], fill="white", width=4)
    middle = tall + BAR // 2
    draw.text((40, middle), "HPINet", fill="white", font=ImageFont.load_default(56), anchor="lm")
    draw.text(
        (width - 40, middle), "Makes small pictures large", fill="white", font=ImageFont.load_default(40), anchor="rm"
    )
    canvas.save(PICTURE, quality=85, optimize=True)


if __name__ == "__main__":
    main()
