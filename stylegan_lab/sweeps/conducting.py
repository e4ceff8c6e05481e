"""Conducting: trials begun as places come free, looked at while they play, and told of when they are over."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stylegan_lab.sweeps.board import Board
from stylegan_lab.sweeps.devices import Devices
from stylegan_lab.sweeps.playing import Player, reason
from stylegan_lab.sweeps.sources import Source
from stylegan_lab.sweeps.trial import Follower, Trial

PAUSE = 0.25  # seconds between two looks
LEFT = {129, 130, 143}  # the codes of a trial that was asked to leave, and saved
OUT_OF_TIME = 124
# What a queue or a terminal says, and the code to leave with then.
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143, "SIGUSR2": 143, "SIGHUP": 129}


class Conductor:
    def __init__(
        self, source: Source, player: Player, devices: Devices, at_once: int, board: Board, pause: float = PAUSE
    ) -> None:
        self._source, self._player, self._devices, self._at_once = source, player, devices, at_once
        self._board, self._pause = board, pause
        self._playing: dict[int, _Playing] = {}
        self.asked = 0  # the code to leave with, once someone asked

    def conduct(self) -> None:
        """Until nothing is left to play, or someone asks to leave: then trials save, and go on when the sweep is repeated."""
        with _listening(self.ask):
            try:
                while self._begin() or self._playing:
                    for playing in list(self._playing.values()):
                        self._look(playing)
                    self._board.show()
                    if self._playing:
                        time.sleep(self._pause)
            except BaseException:
                for playing in self._playing.values():
                    self._player.stop(playing.trial)
                raise

    def ask(self, number: int, _: Any = None) -> None:
        again, self.asked = bool(self.asked), self.asked or CODES[signal.Signals(number).name]
        if not again:
            self._board.tell("leaving: trials save what they have played (Ctrl-C again does not wait for that)")
        for playing in list(self._playing.values()):
            if not again:
                self._player.stop(playing.trial)
            elif number == signal.SIGINT:
                self._player.kill(playing.trial)

    def _begin(self) -> bool:
        begun = False
        while len(self._playing) < self._at_once and not self.asked:
            found = self._source.next()
            if found is None:
                break
            trial, claim = found
            trial.state, trial.reason, begun = "playing", "", True
            environment = self._devices.take()
            playing = self._playing[trial.number] = _Playing(trial, claim, environment)
            trial.look(playing.follower)
            trial.write()
            self._player.begin(trial, environment, claim)
            self._board.begins(trial)
            if self.asked:  # meanwhile
                self._player.stop(trial)
        return begun

    def _look(self, playing: "_Playing") -> None:
        trial = playing.trial
        code = self._player.code(trial)
        rows = trial.look(playing.follower)
        playing.time(trial)
        if code is None:
            if rows and not playing.pruned and not self.asked and self._source.prunes(trial, rows):
                playing.pruned = True
                self._player.stop(trial)
            return
        trial.state, trial.reason = self._outcome(playing, code)
        trial.look(playing.follower)
        self._source.tell(trial)
        trial.write()
        self._devices.give_back(playing.environment)
        os.close(playing.claim)
        del self._playing[trial.number]
        self._board.ends(trial)

    def _outcome(self, playing: "_Playing", code: int) -> tuple[str, str]:
        if code == 0:
            return "done", ""
        if playing.pruned and code in LEFT:
            return "pruned", ""
        if code == OUT_OF_TIME:
            return "stopped", "out of time"
        if self.asked and (code in LEFT or code < 0):
            return "stopped", "interrupted"
        if code in LEFT:
            return "stopped", f"asked to leave by others (code {code})"
        ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"code {code}"
        return "failed", reason(playing.trial.log) if code > 0 and reason(playing.trial.log) else ended


class _Playing:
    """A trial in play: its record as it grows, its share of the devices, its clock."""

    def __init__(self, trial: Trial, claim: int, environment: Mapping[str, str]) -> None:
        self.trial, self.claim, self.environment = trial, claim, environment
        self.follower, self.pruned = Follower(trial.folder), False
        self._before, self._since = trial.seconds, time.monotonic()

    def time(self, trial: Trial) -> None:
        trial.seconds = self._before + time.monotonic() - self._since


@contextmanager
def _listening(ask: Callable[[int, Any], None]) -> Iterator[None]:
    """Within, signals only ask."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    known = [number for number in signal.Signals if number.name in CODES]
    heard = [number for number in known if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, ask) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
