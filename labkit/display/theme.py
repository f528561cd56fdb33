"""The handful of colours, as tokens that follow the notebook's theme, light or dark.

JupyterLab defines `--jp-*`; VS Code and Colab do not, hence a fallback in every `var()`. A
fallback has to do on white and on black alike, so text and lines fall back to `currentColor`, and
the two tones to a middle shade that keeps 3:1 on both, which is what WCAG asks of a sign. Only
signs are coloured, never words, and beside each sign stands a word that says the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from labkit.display import document


@dataclass(frozen=True, slots=True)
class Token:
    """A colour of the theme. `light` and `dark` are what JupyterLab's own two themes make of it."""

    variable: str
    fallback: str
    light: str
    dark: str

    @property
    def css(self) -> str:
        return f"var({self.variable}, {self.fallback})"


#: The page behind an output, in JupyterLab's two themes.
PAGE = Token("--jp-layout-color0", "transparent", "#ffffff", "#111111")
TEXT = Token("--jp-content-font-color1", "currentColor", "#212121", "#ffffff")
BORDER = Token("--jp-border-color2", "currentColor", "#e0e0e0", "#616161")
GOOD = Token("--jp-success-color1", "#2e8b57", "#388e3c", "#4caf50")
#: What a drawing is made of where it means neither good nor bad.
ACCENT = Token("--jp-brand-color1", "#4a86c8", "#1976d2", "#2196f3")
BAD = Token("--jp-error-color1", "#d9534f", "#d32f2f", "#f44336")

#: A sign for each tone: its glyph and its colour. Screen readers skip it and read the words.
SIGNS: dict[document.Tone, tuple[str, Token]] = {"good": ("✓", GOOD), "bad": ("✗", BAD)}

CODE_FONT = "var(--jp-code-font-family, monospace)"


def contrast(one: str, other: str) -> float:
    """The WCAG contrast ratio of two colours written `#rrggbb`, from 1 to 21.

    >>> round(contrast("#ffffff", "#000000"))
    21
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
