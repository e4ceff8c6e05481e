"""How every page looks that the lab writes: in the reader's light or dark, with colours that can be told apart in both."""

from pathlib import Path

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
