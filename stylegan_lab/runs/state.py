"""The file run.json: the status, budget and iteration of a run, and the sessions that trained it, for use by programs."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from stylegan_lab.files.atomic_write import write_text_atomic

SCHEMA = 1
FILE_NAME = "run.json"
Status = Literal["running", "interrupted", "finished", "failed"]


@dataclass(frozen=True)
class Session:
    """The training from one start or resume to its end. Iterations that are repeated after a crash count in both sessions."""

    start: str  # local time, with the offset from UTC
    budget: int  # iterations that the run was to have at its end
    first_iteration: int
    last_iteration: int
    ranks: int = 1
    gpus: int = 0
    hardware: str = ""
    seconds: float = 0.0  # of training
    peak_bytes: int | None = None  # of the first rank
    end: str | None = None  # None while the session lasts, and if its process was killed
    reason: str | None = None  # why it ended
    diverged: bool = False  # whether NaN or infinite losses or gradients ended it


@dataclass(frozen=True)
class RunState:
    """The contents of run.json."""

    status: Status
    budget: int
    iteration: int
    sessions: Sequence[Session] = ()
    monitor: str | None = None  # the score by which checkpoints are compared
    best_score: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the run was trained to the end of its latest budget."""
        return self.status == "finished" and self.iteration >= self.budget

    def start_session(self, iteration: int, budget: int, ranks: int) -> "RunState":
        """Return the state with a new session, which starts or resumes at `iteration`."""
        session = Session(_now(), budget, iteration, iteration, ranks)
        return replace(self, status="running", budget=budget, iteration=iteration, sessions=[*self.sessions, session])

    def update_session(self, **changes: Any) -> "RunState":
        """Return the state with changes to the latest session. The iteration of the run is set to the last iteration of
        this session."""
        session = replace(self.sessions[-1], **changes)
        return replace(self, iteration=session.last_iteration, sessions=[*self.sessions[:-1], session])

    def end_session(self, status: Status, reason: str, diverged: bool = False) -> "RunState":
        return replace(self.update_session(end=_now(), reason=reason, diverged=diverged), status=status)

    def with_best(self, monitor: str | None, score: float | None) -> "RunState":
        return replace(self, monitor=monitor, best_score=score)

    def write(self, folder: Path) -> None:
        write_text_atomic(folder / FILE_NAME, json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2) + "\n")


NEW_RUN = RunState("running", 0, 0)


def parse_state(text: str) -> RunState:
    """Parse the text of a run.json. Raises ValueError if the text is damaged or has a newer schema."""
    contents = json.loads(text)
    if (
        not isinstance(contents, dict)
        or contents.get("schema") != SCHEMA
        or contents.get("status") not in get_args(Status)
    ):
        raise ValueError("not the state of a run")
    try:
        sessions = [_parse(Session, each) for each in contents.get("sessions", [])]
        return _parse(RunState, contents | {"sessions": sessions})
    except (TypeError, AttributeError) as error:
        raise ValueError("not the state of a run") from error


def _parse(kind: type[Any], contents: Mapping[str, Any]) -> Any:
    """Build a dataclass from the keys that are its fields. Other keys are ignored."""
    return kind(**{each.name: contents[each.name] for each in fields(kind) if each.name in contents})


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
