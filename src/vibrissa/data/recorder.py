"""The recorder watches episodes and leaves a LeRobot v3.0 dataset, whole at every instant.

Each tick goes into a journal at once, and is on the disk a fraction of a second later; an
episode that ends is stored from it at once, behind the arm's back. Under `<out>` lie the dataset
and, while something is not stored yet, `journal/`. Beside LeRobot's files, in `meta/vibrissa/`,
lie the contract, the scene, what was told of the session, and a line for each episode: its seed,
how it ended, what the task measured, how fast it really ran, and what was randomised how.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from vibrissa.core.contract import Contract
from vibrissa.core.episode import Episode, Start, Step
from vibrissa.core.errors import DatasetError
from vibrissa.data.disk import Disk, require_absent, uninterrupted, writing
from vibrissa.data.extend import extension
from vibrissa.data.film import check_size
from vibrissa.data.finish import Ended, Finisher, told_end
from vibrissa.data.journal import Take
from vibrissa.data.journal_lag import LagWatch
from vibrissa.data.layout import JOURNAL
from vibrissa.data.recover import claim_of, settle, tidy
from vibrissa.data.scribe import Scribe
from vibrissa.data.take_numbers import TakeNumbers
from vibrissa.data.writer import whole_fps


def finished(episode: Episode) -> bool:
    """Episodes that came to an end of their own: neither interrupted nor broken off by a fault."""
    return episode.outcome.reason not in ("aborted", "fault")


def successful(episode: Episode) -> bool:
    """What a demonstration has to be."""
    return episode.outcome.success


class Recorder:
    """Records the episodes for which `keep` is true into the dataset folder `out`.

    One recorder follows one arm, episode after episode. Use it as a context manager, or call
    `close`. `patience_s` is how long a tick may wait for a video encoder that is behind: a
    simulated arm's clock stands still meanwhile; give 0 for a real one, which then fails loudly.
    `session` is what is noted of the recording (operator, light, …), plain values; `told`, which
    may be changed between two episodes, what is noted of each of them from then on. `say` hears,
    in a line, that the disk is slow; one that is too slow ends the episode (`journal_lag`).

    With `extend` the recording goes on in a dataset of ours, if there is one: what a kill left of
    finished episodes is stored first, and an arm with another contract is refused at its first
    episode, one that was calibrated anew only unless `recalibrated` (see `extend.extension`).

    Raises DatasetError where `out` exists, where a camera or a rate cannot be stored, and where
    the disk refuses. What was refused in the background is raised by the next call, `close`
    included; the dataset holds every episode finished before, and the journal the rest.
    """

    def __init__(
        self,
        out: Path,
        *,
        keep: Callable[[Episode], bool] = finished,
        patience_s: float = 60.0,
        session: Mapping[str, Any] | None = None,
        extend: bool = False,
        recalibrated: bool = False,
        disk: Disk | None = None,
        say: Callable[[str], None] = lambda _: None,
    ):
        self.out = Path(out)
        self.discarded, self._kept, self._frames = 0, 0, 0
        self._keep, self._patience_s = keep, patience_s
        began = datetime.now(UTC).isoformat(timespec="seconds")
        self._session = {"id": uuid.uuid4().hex, "began": began, **(session or {})}
        self.told: Mapping[str, Any] = {}
        self._disk, self._say = disk or Disk(), say
        self._start: Start | None = None
        self._take: Take | None = None
        self._finisher: Finisher | None = None
        self._scribe: Scribe | None = None
        self._watch: LagWatch | None = None
        self._extend, self._recalibrated = extend, recalibrated
        self._closed = False
        if not extend:
            require_absent(self.out)
        with writing(self.out):
            self._disk.make_folder(self.out / JOURNAL)
            self._claim = claim_of(self.out)
        self._numbers = self._go_on()

    @property
    def kept(self) -> int:
        """Episodes that are stored, or about to be."""
        return self._kept - (self._finisher.failed if self._finisher else 0)

    @property
    def frames(self) -> int:
        """Their rows."""
        return self._frames - (self._finisher.failed_frames if self._finisher else 0)

    @property
    def left(self) -> int:
        """Episodes that were broken off and lie in the journal, for `vibrissa data recover`."""
        return self._finisher.left if self._finisher else 0

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def on_start(self, start: Start) -> None:
        """Make room for an episode; the first one tells what is recorded at all."""
        if self._start is None:
            for camera in start.contract.cameras:
                check_size(camera)
            whole_fps(start.contract)
            self._require_extensible(start.contract)
        elif _digest(start.contract) != _digest(self._start.contract):
            raise DatasetError(f"{self.out} is recorded under one contract; this is another.")
        if self._finisher is None or self._scribe is None:
            self._scribe = Scribe(self._numbers)
            self._finisher = Finisher(self.out, self._disk, self._scribe.let_go)
        self._finisher.check()
        self._finisher.wait_for_room(self._patience_s)
        self._start = start
        self._watch = LagWatch(self.out, self._say, self._patience_s)
        number = self._numbers.next()
        self._take = Take(
            self.out / JOURNAL / f"{number:06d}",
            start,
            {"take": uuid.uuid4().hex, "session": self._session, "told": dict(self.told)},
            whole_fps(start.contract),
            self._patience_s,
            self._disk,
            lambda: self._numbers.note(number),
        )
        self._scribe.follow(self._take)

    def on_step(self, step: Step) -> None:
        """Copy this tick's numbers and pictures. Raises DatasetError where the disk is behind."""
        if self._take is None or self._scribe is None or self._watch is None:
            return
        self._watch.look(self._take.lag)
        self._take.add(step)
        self._scribe.wake()

    def on_end(self, episode: Episode) -> None:
        """Hand the episode over to be stored, left in the journal, or forgotten."""
        with uninterrupted():
            take, self._take = self._take, None
            if take is None or self._scribe is None or self._finisher is None:
                return
            fate = self._fate(take, episode)
            if fate == "keep":
                self._kept += 1
                self._frames += take.rows.count
            else:
                self.discarded += 1
            self._finisher.put(Ended(take, told_end(episode), fate))

    def close(self) -> Path | None:
        """Store what waits; the dataset's folder, or None where it holds no episode."""
        if self._closed:
            return self.out if self.kept else None
        self._closed = True
        with uninterrupted():
            if self._take is not None and self._finisher is not None:
                self._finisher.put(_unfinished(self._take))
            if self._finisher is not None:
                counts = {"kept": self.kept, "discarded": self.discarded, "frames": self.frames}
                self._finisher.close({**self._session, **counts})
            if self._scribe is not None:
                self._scribe.close()
            if self._finisher is None or not self._finisher.stuck:
                self._numbers.close()
                tidy(self.out, self._disk, self._claim)
        if self._finisher is not None:
            self._finisher.check()
        return self.out if self.kept else None

    def _fate(self, take: Take, episode: Episode) -> str:
        if take.rows.count and self._keep(episode):
            return "keep"
        return "discard" if finished(episode) else _unfinished(take).fate

    def _go_on(self) -> TakeNumbers:
        """Store what a kill left of finished episodes; who numbers the takes from here on."""
        try:
            with writing(self.out):
                numbers = TakeNumbers(self.out, self._disk)
            if self._extend:
                settle(self.out, self._disk, whole_only=True)
        except BaseException:
            tidy(self.out, self._disk, self._claim)
            raise
        return numbers

    def _require_extensible(self, contract: Contract) -> None:
        self._session.setdefault("calibration", contract.calibration)
        if self._extend:
            there = extension(self.out, contract)
            there.require(self.out, recalibrated=self._recalibrated)


def _digest(contract: Contract) -> str:
    """What may not change from one episode to the next; the instruction may."""
    return replace(contract, instruction="").digest


def _unfinished(take: Take) -> Ended:
    """A take that was broken off: it stays in the journal, unless there is nothing to lose."""
    nothing = not take.rows.count or take.can_be_had_again
    return Ended(take, {"reason": "aborted"}, "discard" if nothing else "leave")
