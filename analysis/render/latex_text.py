r"""Writes any text so that pdflatex shows it as it is, with no package beyond LaTeX's own.

What TeX takes for a command is escaped, signs become commands ("λ" is `$\lambda$`), and a character
that pdflatex's fonts lack is shown by its number.
"""

import re
import unicodedata

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "`": r"\`{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    # Behind the end of a row, these would belong to it.
    "[": "{[}",
    "*": "{*}",
}
_SIGNS = {
    "·": r"$\cdot$",
    "√": r"$\surd$",
    "≈": r"$\approx$",
    "−": "$-$",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "…": r"\ldots{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "↔": r"$\leftrightarrow$",
    "∞": r"$\infty$",
    "°": r"$^{\circ}$",
    "²": "$^{2}$",
    "³": "$^{3}$",
    "½": "$1/2$",
    "§": r"\S{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "å": r"\aa{}",
    "Å": r"\AA{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "µ": r"$\mu$",
    "∆": r"$\Delta$",
}
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": r"\`",
    "\N{COMBINING ACUTE ACCENT}": r"\'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": r"\^",
    "\N{COMBINING TILDE}": r"\~",
    "\N{COMBINING DIAERESIS}": r"\"",
    "\N{COMBINING MACRON}": r"\=",
    "\N{COMBINING CARON}": r"\v",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": r"\H",
    "\N{COMBINING CEDILLA}": r"\c",
}
_LONG_WORD = 20
"""Longer words may be broken behind their punctuation."""
_PIECE = 16
"""The letters between two places where a long word may be broken."""


def _commands() -> dict[str, str]:
    """Return character → what LaTeX writes it with."""
    commands = {**_ESCAPED, **_SIGNS}
    for name in _GREEK.split():
        case = "CAPITAL" if name[0].isupper() else "SMALL"
        # Unicode has its own spelling of one letter.
        letter = {"LAMBDA": "LAMDA"}.get(name.upper(), name.upper())
        commands[unicodedata.lookup(f"GREEK {case} LETTER {letter}")] = rf"$\{name}$"
    return commands


_COMMANDS = _commands()


def escaped(text: str) -> str:
    """Return text that LaTeX shows as it is."""
    composed = unicodedata.normalize("NFC", text)
    written = "".join(_COMMANDS.get(char) or _unlisted(char) for char in composed)

    # Two hyphens would become one dash.
    return re.sub("-(?=-)", "-{}", written)


def breakable(text: str) -> str:
    """Return text of which long words may be broken, such as the names of a grid's variants."""
    return " ".join(_in_pieces(word) for word in text.split(" "))


def prose(text: str) -> str:
    """Return a sentence; what stands between backquotes is a command, in a font of its own."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return breakable(text)
    written = [breakable(part) for part in parts]
    written[1::2] = [rf"\texttt{{{part}}}" for part in written[1::2]]
    return "".join(written)


def _unlisted(char: str) -> str:
    """Return a character without a command of its own: by its parts, or else by its number."""
    if char.isascii():
        return char
    parts = unicodedata.normalize("NFD", char)
    letter = parts[0]
    marks = parts[1:]
    if letter.isascii() and all(mark in _ACCENTS for mark in marks):
        for mark in marks:
            letter = f"{_ACCENTS[mark]}{{{letter}}}"
        return letter
    alike = unicodedata.normalize("NFKD", char)
    if alike.isascii():
        return escaped(alike)
    return rf"\texttt{{U+{ord(char):04X}}}"


def _in_pieces(word: str) -> str:
    """Return a word; a long one with the places where it may be broken."""
    if len(word) <= _LONG_WORD:
        return escaped(word)
    pieces = re.findall(rf"[\w]{{1,{_PIECE}}}\W?|\W", word)
    return r"\allowbreak{}".join(escaped(piece) for piece in pieces)
