"""Votes of a preference study, read from the files that voters saved, and matched with the key of the study."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan_lab.errors import UserError

LEFT_SCORES = {"left": 1.0, "tie": 0.5, "right": 0.0}


@dataclass(frozen=True)
class Vote:
    """A voter's comparison of two runs, given by their ids. `score` is 1 if the first won, 0 if the second won, 0.5 for a tie."""

    first: str
    second: str
    score: float
    voter: str


def read_votes(paths: Sequence[Path]) -> list[Vote]:
    """Read vote files. If several files of one session contain an answer, the file saved last counts."""
    files = [(path, _read(path)) for path in paths]
    keys = {contents["page"]: contents["images"] for _, contents in files if "images" in contents}
    for path, contents in files:
        if contents["page"] not in keys:
            found = [_read(key_file) for key_file in sorted(path.resolve().parent.glob("*.key.json"))]
            keys |= {key["page"]: key["images"] for key in found}
    answers: dict[tuple[str, str, str], Vote] = {}
    ballots = [(path, contents) for path, contents in files if "votes" in contents]
    for path, contents in sorted(ballots, key=lambda each: str(each[1].get("saved", ""))):
        if contents["page"] not in keys:
            raise UserError(
                "preference_study.key_missing",
                f"{path} needs the key of the page that was voted on (PAGE.key.json), which is not in the same folder; put it "
                "there, or pass it to --votes too",
            )
        session = contents.get("session") or contents["voter"]
        for answer in contents["votes"]:
            images = keys[contents["page"]]
            answers[contents["page"], session, answer["question"]] = _vote(path, contents, answer, images)
    return list(answers.values())


def _vote(path: Path, contents: Mapping[str, Any], answer: Mapping[str, Any], images: Mapping[str, Any]) -> Vote:
    try:
        left, right = (images[answer[side]]["run_id"] for side in ("left", "right"))
        return Vote(left, right, LEFT_SCORES[answer["choice"]], contents["voter"])
    except KeyError as missing:
        raise UserError(
            "preference_study.key_mismatch",
            f"{path} does not match the key of its page: {missing} is unknown; give the key that was saved with the page",
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        contents: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "votes" in contents:
            contents["page"], contents["voter"], [answer["question"] for answer in contents["votes"]]
        elif "images" not in contents:
            raise KeyError
    except OSError as error:
        raise UserError("preference_study.votes_unreadable", f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(
            "preference_study.not_votes",
            f"{path} is neither a votes file nor the key of a page; give the files that compare --preference-study and its page "
            "saved",
        ) from None
    return contents
