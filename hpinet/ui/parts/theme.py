"""How the page looks: quiet greys, one accent, the reader's own fonts, light and dark. Contrast meets WCAG AA."""

from pathlib import Path

from gradio.themes.base import Base
from gradio.themes.utils.colors import Color

INK = Color(
    name="ink",
    c50="#f8f9fa", c100="#f1f3f5", c200="#e3e7eb", c300="#cbd2d9", c400="#9aa5b1", c500="#6b7682",
    c600="#515c68", c700="#3b444e", c800="#262d35", c900="#1a2027", c950="#11161b",
)  # fmt: skip
TEAL = Color(
    name="teal",
    c50="#eefaf8", c100="#d3f2ed", c200="#a9e4db", c300="#74cfc4", c400="#45b5a9", c500="#249a90",
    c600="#167c75", c700="#13635f", c800="#134f4d", c900="#12413f", c950="#052827",
)  # fmt: skip

SANS = ("ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Consolas", "Liberation Mono", "monospace")


def theme() -> Base:
    """Gradio's base theme in our colours."""
    return Base(primary_hue=TEAL, secondary_hue=TEAL, neutral_hue=INK, font=SANS, font_mono=MONO, radius_size="md").set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_700",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_background_fill="white",
        block_label_background_fill_dark="*neutral_900",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        block_title_text_weight="600",
        block_shadow="none",
        block_shadow_dark="none",
        input_background_fill="white",
        input_background_fill_dark="*neutral_800",
        input_border_width="1px",
        input_border_color="*neutral_400",
        input_border_color_dark="*neutral_600",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        link_text_color_visited="*primary_700",
        link_text_color_visited_dark="*primary_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        button_secondary_background_fill="white",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_600",
        button_border_width="1px",
        slider_color="*primary_700",
        slider_color_dark="*primary_500",
        checkbox_background_color_selected="*primary_700",
        checkbox_background_color_selected_dark="*primary_600",
        checkbox_border_color_selected="*primary_700",
        checkbox_border_color_selected_dark="*primary_500",
        checkbox_label_background_fill_selected="*primary_50",
        checkbox_label_background_fill_selected_dark="*primary_950",
        checkbox_label_border_color_selected="*primary_700",
        checkbox_label_border_color_selected_dark="*primary_500",
        checkbox_label_text_color_selected="*neutral_900",
        checkbox_label_text_color_selected_dark="white",
        loader_color="*primary_700",
        loader_color_dark="*primary_400",
    )


_HERE = Path(__file__).parent
MASTHEAD_PICTURE = _HERE / "masthead.svg"  # made by scripts/make_masthead.py
CSS = (_HERE / "page.css").read_text("utf-8")
SCRIPT = (_HERE / "page.js").read_text("utf-8")
HOOKS = (_HERE / "hooks.js").read_text("utf-8")

# Gradio confines CSS to what is inside its own margins; these are about the margins.
HEAD = f"""<style>
@media (max-width: 640px) {{ .gradio-container .main.fillable {{ padding: 10px 12px 88px !important; }} }}
</style>
<script>{HOOKS}</script>"""
