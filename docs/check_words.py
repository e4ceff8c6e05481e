"""Find words in docs, configs and code for which the field or plain English has better ones (`make check`).

    python docs/check_words.py [FILE ...]

Each row of WORDS is a regular expression, which ignores case, and what to write instead. Add a row only if it is wrong nearly
always: a check with false alarms is soon ignored.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = [
    *("*.md", "Makefile", "docs/*.md", "docs/generate_*.py", "conf/**/*.yaml", "baselines/*.yaml", "notebooks/*.ipynb"),
    *("benchmarks/*.py", "hydra_plugins/**/*.py", "stylegan_lab/**/*.py", "stylegan_lab/**/*.html"),
]
GENERATED = {"commands.md", "configs.md", "api.md"}  # `make docs` writes these from files that are checked
LONGEST_LINE = 1000  # longer ones are images in the outputs of notebooks
COMPARATIVES = (
    "longer|more|less|fewer|better|worse|larger|bigger|smaller|faster|slower|higher|lower|older|newer|different|later"
)
WORDS = [
    # names that this project had for things that papers and libraries call otherwise
    (r"^(?!.*(WGAN|Wasserstein)).*\bcritics?\b", "discriminator (critic only on a line with WGAN)"),
    (r"\bcritics_see\b", "discriminator_augment"),
    (r"\bcritic_turns\b", "n_critic"),
    (r"\b(most_channels|path_every|path_shrink|critic_rate)\b", "the name of the setting in conf/"),
    (r"\bcontests?\b", "adversarial loss"),
    (r"\b(the|a|one|each|every|its|their) (judge|verdict)s?\b", "discriminator, output of the discriminator"),
    (r"\bdescend(s|ed|ing)?\b(?! into)", "optimize"),
    (r"\brehears(e|es|ed|al)\b", "sanity check"),
    (r"\bentrants?\b", "run"),
    (r"\b(the|an|its) exams?\b", "validation, evaluation"),
    (r"\b(the|its|of|own) dice\b", "random numbers, rng"),
    (r"\bstrangers?\b", "other files, untrusted files"),
    (r"\b(a|the|this|each|last) sitting\b", "session"),
    (r"\baveraged weights\b|\bweights? averaging\b", "EMA weights, EMA"),
    # sentences that are hard to read
    (rf"(?<!there )\b(is|are|was|were)\s+no\s+(?!({COMPARATIVES})\b)\w+", "is not a ..."),
    (r"\b(is|are|was|were|be|been)\s+told\b", "gets, knows, is conditioned on"),
    (r"\btells\s+(the\s+|a\s+)?(mean|spread|scores?|loss|losses)\b", "reports, prints"),
    (r"\b(held|hold|holds)\s+(up\s+)?against\b", "compared with"),
    (r"\b(stand|stands|stood)\s+(beside|next\s+to)\b", "is next to, is compared with"),
    (r"\bwho(so)?ever\b", "the person, program or network that"),
    (r"\b(after|every|by|for|with|of)\s+so\s+many\b", "a number of"),
    (r"\b(go|goes|going|went)\s+on\s+(with|from|where|training)\b", "resume, continue"),
    (r"\bwhether\s+or\s+not\s+it\s+would\b", "whether"),
    (r"\bhere\s+to\s+be\s+found\b|\bto\s+be\s+found\s+(is|are)\b", "subject, verb, object"),
    (r"\b(is|are)\s+(asked|wished|wanted)\s+of\b", "must, needs"),
    (r"\bmay\s+be\s+named\s+by\b", "may load, may use"),
    (r"\bas\s+(it\s+stands|they\s+stand)\b", "as it is, unchanged"),
    (r"\b(naught|none\s+but|hereby|thereof|therein|wherein|whereof|whereupon)\b", "plain words"),
]
PATTERNS = [(re.compile(pattern, re.IGNORECASE | re.MULTILINE), better) for pattern, better in WORDS]


def main(names: list[str]) -> int:
    paths = [Path(name) for name in names] or checked_files()
    found = [f"{path}:{line}: {words!r}: write {better}" for path in paths for line, words, better in find_words(path)]
    print("\n".join(found) or f"{len(paths)} files have no words to avoid")
    return 1 if found else 0


def checked_files() -> list[Path]:
    return [path for pattern in FILES for path in sorted(ROOT.glob(pattern)) if path.name not in GENERATED]


def find_words(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the words found and what to write instead. The words may be on two lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    text = "\n".join("" if len(line) > LONGEST_LINE else line for line in lines)
    for pattern, better in PATTERNS:
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, " ".join(match[0].split())[-60:], better


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
