"""The `ringcx-etl` command line, put together. Exit codes: 0 done, 1 failed, 2 usage or settings."""

import sys

from cyclopts import CycloptsError

from connectors.errors import ConnectorError
from flows.commands import calls, fetching, loading, reading, receiving, speech, state, trying, webhook
from flows.commands.app import DONE, FAILED, USAGE, app, complain
from flows.settings import SettingsError
from sinks.errors import LakeError, LocationError

__all__ = [
    "app",
    "calls",
    "fetching",
    "loading",
    "main",
    "reading",
    "receiving",
    "speech",
    "state",
    "trying",
    "webhook",
]


def main() -> None:
    """Run the command of `sys.argv` and exit. Errors we know are one message and no traceback."""
    try:
        code = app(exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        code = USAGE
    except SettingsError as error:
        code = complain(error, USAGE)
    except LocationError as error:
        code = complain(f"RINGCX_LAKE, RINGCX_DATA_PATH: {error}", USAGE)
    except OSError as error:  # a file that is named on the command line, .env, standard output
        code = complain(f"{error.filename or 'cannot go on'}: {error.strerror or error}", FAILED)
    except (ConnectorError, LakeError) as error:
        code = complain(error, FAILED)
    except KeyboardInterrupt:
        code = complain("interrupted: what was stored is complete, run it again to go on", FAILED)
    sys.exit(code if isinstance(code, int) else DONE)
