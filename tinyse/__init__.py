"""tinyse: speech-enhancement networks made small enough for hearing aids, earbuds and radios."""

__version__ = "0.1.0"
