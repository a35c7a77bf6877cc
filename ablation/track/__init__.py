"""Where trials are shown besides their journals.

Importing this package sets what MLflow reads from the environment, before MLflow can be imported; the user's own win.
"""

import os

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # an experiment does not phone home
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; MLflow would wait 120
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # MLflow's take minutes, and a create sent twice makes two runs: we retry
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # a locked database is our warning of one line, not a traceback a time
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)
