"""What is said of a file when it is opened, where several formats say the same."""

LEFT_OUT = "Damaged data beside the pixels were left out."
ODD_PROFILE = "Its colour profile is damaged or of other colours, so it was taken for sRGB."
GAIN_MAP = "It has a gain map for HDR screens: only the picture for ordinary ones was taken."
DEPTH_MAP = "It has a depth map: only the picture was taken."
ANIMATED = "It is animated: the first frame was taken."
FURTHER_CHANNELS = "It has channels beside its colours that were left out."


def further_pictures(count: int) -> str:
    """That there are ``count`` pictures in all."""
    return f"It has {count} pictures: the main one was taken."
