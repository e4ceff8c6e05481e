"""Votes: the files that judges saved, read with the keys of their pages, each answer counted once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan_lab.mistake import Mistake

WORTH = {"left": 1.0, "tie": 0.5, "right": 0.0}  # to the left picture


@dataclass(frozen=True)
class Vote:
    """One run held against another by a judge: 1 for the first, 0 for the second, 0.5 for both. Runs by their identity."""

    one: str
    other: str
    worth: float
    judge: str


def read_votes(paths: Sequence[Path]) -> list[Vote]:
    """Of a session's files, which grow as it goes on, each answer is taken once, as it was last given."""
    files = [(path, _read(path)) for path in paths]
    keys = {contents["page"]: contents["pictures"] for _, contents in files if "pictures" in contents}
    for path, contents in files:
        if contents["page"] not in keys:
            keys |= _keys_beside(path)
    answers: dict[tuple[str, str, str], Vote] = {}
    ballots = [(path, contents) for path, contents in files if "votes" in contents]
    for path, contents in sorted(ballots, key=lambda each: str(each[1].get("saved", ""))):
        if contents["page"] not in keys:
            raise Mistake(f"{path}: the key of its page is not beside it; name it among the votes (PAGE.key.json)")
        session = contents.get("session") or contents["judge"]
        for answer in contents["votes"]:
            answers[contents["page"], session, answer["question"]] = _vote(
                path, contents, answer, keys[contents["page"]]
            )
    return list(answers.values())


def _vote(path: Path, contents: Mapping[str, Any], answer: Mapping[str, Any], pictures: Mapping[str, Any]) -> Vote:
    try:
        left, right = (pictures[answer[side]]["identity"] for side in ("left", "right"))
        return Vote(left, right, WORTH[answer["choice"]], contents["judge"])
    except KeyError as missing:
        raise Mistake(f"{path} does not belong to its page's key: {missing} is unknown") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        contents: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "votes" in contents:
            contents["page"], contents["judge"], [answer["question"] for answer in contents["votes"]]
        elif "pictures" not in contents:
            raise KeyError
    except OSError as error:
        raise Mistake(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise Mistake(
            f"{path} holds no votes (a file that a page of compare --blind saved), and is no key of one"
        ) from None
    return contents


def _keys_beside(path: Path) -> dict[str, Any]:
    found = {}
    for beside in sorted(path.resolve().parent.glob("*.key.json")):
        contents = _read(beside)
        found[contents["page"]] = contents["pictures"]
    return found
