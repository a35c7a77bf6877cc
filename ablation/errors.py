"""What can go wrong, each with a message that names the key, the value and the way out."""


class AblationError(Exception):
    """A mistake or mishap with a message meant for the user; shown without a traceback."""


class ConfigError(AblationError):
    """The configuration asks for something impossible; raised before data is loaded."""


class Breach(ConfigError):
    """A part of somebody's own, such as an augmentation, broke its contract, or raised when it was tried."""


class DataError(AblationError):
    """A data set is missing, truncated, or of the wrong shape or labels."""


class DeviceError(AblationError):
    """The GPU that the trial is to be trained on cannot be used, through no fault of the trial: cause `node`."""


class Diverged(AblationError):
    """The training loss is no longer finite."""


class Cancelled(AblationError):
    """The trial was cancelled: it is not to be trained until it is submitted again."""


class Blocked(AblationError):
    """A trial's teacher is not trained. The trial itself has not failed: with the teacher done it can be."""


class Stopped(KeyboardInterrupt):
    """Training was asked to stop and saved its state first. Like Ctrl-C it is no failure and ends a whole sweep."""
