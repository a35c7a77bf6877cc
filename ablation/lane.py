"""One seed of those that are trained together: its folder and its journal."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ablation import journal
from ablation.errors import DataError


class Lane:
    """One seed: its folder, its journal and whether it still trains."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.journal = journal.Journal(folder / "journal.jsonl")
        self.failed = ""  # how, if it did

    def begin(self, step: int, device: str, precision: str, pixels: str) -> None:
        """Journal that an attempt starts at this step, on the images with this fingerprint.

        Raises:
            DataError: it would go on with other images than it began with.
        """
        events = journal.read(self.journal.path)
        began = next((e["pixels"] for e in reversed(events) if e["event"] == "start"), pixels)
        if step and began != pixels:
            raise DataError(
                f"seed {self.seed}: {self.folder} was begun on images with the fingerprint {began}, now {pixels}; "
                "bring the old ones back, or move that folder away to start anew"
            )
        values = {"step": step, "device": device, "precision": precision, "pixels": pixels}
        self.journal.write("start", attempt=journal.attempts(events) + 1, **values)

    def broken(self, e: Exception) -> None:
        """Journal that an error ended the attempt; on a full disk even that may be impossible."""
        with suppress(OSError):
            self.journal.write("failed", cause=type(e).__name__, message=str(e)[:2000])

    def diverged(self, step: int) -> None:
        """Journal that the loss was not finite at this step, and where the last good checkpoint is."""
        saved = max((e["step"] for e in journal.read(self.journal.path) if e["event"] == "saved"), default=0)
        where = f"last good checkpoint: step {saved}, {self.folder / 'last.pt'}" if saved else "no checkpoint yet"
        self.failed = (
            f"seed {self.seed}: the loss was not finite at step {step} ({where}). Lower optim.lr, add warm-up "
            "(sched.warmup) or regularizer=clip; with diverged=continue it is trained anew and to the end regardless"
        )
        self.journal.write("failed", cause="diverged", step=step, message=self.failed)
