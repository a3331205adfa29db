"""Going on with a set: how many episodes are there, how many are to come, and may this arm add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vibrissa.core.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from vibrissa.commands.record import Config
    from vibrissa.commands.rigs import Say
    from vibrissa.core.contract import Contract


def there(cfg: Config, contract: Contract, say: Say) -> int:
    """How many episodes the set holds. Raises where it should not be there, or should.

    And where this arm cannot add to it, with every difference.
    """
    from vibrissa.data.disk import require_absent
    from vibrissa.data.extend import extension

    if not extends(cfg):
        try:
            require_absent(cfg.out)
        except DatasetError as error:
            more = " To go on with it: --resume (up to --episodes) or --top-up K (K more)."
            raise DatasetError(f"{error}{more}") from None
        return 0
    if cfg.top_up is not None and not cfg.out.exists():
        raise UsageError(f"--top-up {cfg.top_up}: there is no dataset {cfg.out} yet.")
    found = extension(cfg.out, contract)
    if found.recalibrated and not cfg.recalibrated:
        raise DatasetError(
            f"{cfg.out}: {found.recalibrated}. Record into a set of its own; --recalibrated, only "
            "if both calibrations put the joints at the same places."
        )
    found.require(cfg.out, recalibrated=cfg.recalibrated)
    if found.left:
        say(found.left)
    return found.episodes


def extends(cfg: Config) -> bool:
    return cfg.resume or cfg.top_up is not None


def stored(cfg: Config) -> int:
    """How many episodes the set holds now."""
    from vibrissa.data.dataset import open_dataset

    if not (cfg.out / "meta" / "info.json").is_file():
        return 0
    return len(open_dataset(cfg.out).episodes)


def to_come(cfg: Config, there: int) -> int:
    """How many episodes this session is to add: resuming means up to, topping up means more."""
    return cfg.top_up if cfg.top_up is not None else max(0, cfg.episodes - there)
