"""What the network looked at.

- `lam`: local attribution maps of any network, the diffusion index, the contribution area;
- `matches`: the reference patches that Global Pixel Access chose, and the network without it;
- `reach`: effective receptive field, and what tiling would cost;
- `regions`: parts of pictures, and how networks get to see them;
- `explain`: all of it for one spot of a picture, in numbers and plain words;
- `ablation`: the diffusion index with and without Global Pixel Access;
- `figures`: drawn with Matplotlib.
"""
