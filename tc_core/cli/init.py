"""`token-calc init`: a settings file to begin with."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tc_core import settings
from tc_core.cli import common, text

TEMPLATE = """\
# Settings of Token Calculator. Everything is optional: what is commented out shows the default or an example.
# An argument in the program beats an environment variable, which beats this file.

storage:
  # backend: sqlite               # sqlite, postgresql or memory     TOKEN_CALC_STORAGE
  # path: ./token_calculator.db   # relative to this file            TOKEN_CALC_STORAGE_PATH
  # url: postgresql://host/name   # instead of all others            TOKEN_CALC_STORAGE
  # retention_days: 90            # older events leave, sums stay     TOKEN_CALC_RETENTION_DAYS
  # columns_mb: 64                # memory for questions by labels    TOKEN_CALC_COLUMNS_MB
  # postgresql:
  #   host: localhost             # TOKEN_CALC_PG_HOST
  #   port: 5432                  # TOKEN_CALC_PG_PORT
  #   database: token_calculator  # TOKEN_CALC_PG_DATABASE
  #   user: me                    # TOKEN_CALC_PG_USER
  #   password: secret            # better as TOKEN_CALC_PG_PASSWORD

tracking:
  # default_labels:               # given to every event             TOKEN_CALC_DEFAULT_LABELS=a:b,c:d
  #   environment: production
  #   team: ai
  # ledger: true                  # where prompt tokens come from    TOKEN_CALC_LEDGER=off
  # health: true                  # how conversations fare           TOKEN_CALC_HEALTH=off
  # capture_content: false        # keep the texts of prompts        TOKEN_CALC_CAPTURE_CONTENT=on
  # content_retention_days: 30    # for so long after they were sent
  # redaction: mypackage:redact   # a function each text passes first; None is not kept
  # enforce: false                # hard budgets stop calls, policies act   TOKEN_CALC_ENFORCE
  # cut_streams: false            # ... and streams without room        TOKEN_CALC_CUT_STREAMS
  # strict: false                 # hooks raise their errors: for tests   TOKEN_CALC_STRICT

# prices: ./prices.yaml           # prices of your own               TOKEN_CALC_PRICES

# selection:
#   models:                       # what you know of models: docs/selection.md
#     mistral-small: 0.86         # a quality from 0 to 1, or more than that

# budgets:
#   - name: monthly-prod
#     amount: 10000               # US dollars
#     period: monthly             # hour, day, week, month, ..., last-7-days, run, session, workflow, total
#     filters:
#       environment: production
#     hard: true                  # stops calls, with enforce
#     thresholds: [0.8]           # a warning is logged there

# policies:
#   - name: mini-for-support
#     kind: route                 # route, trim, cache or loop: docs/selection.md
#     model: gpt-4o
#     to: gpt-4o-mini
#     filters:
#       agent_id: support
#     apply: false                # true: from when a program begins, with enforce; else `token-calc policies apply`

alerts:
  # rules:
  #   - name: cost-spike
  #     type: anomaly             # budget, cost, cost_spike, errors, ...: docs/alerts.md
  #     threshold: 2.0
  #     severity: warning         # info, warning or critical
  #     channels: [webhook]       # console, webhook, email or apprise
  #     cooldown: 300             # seconds
  # webhook_url: https://example.com/hook   # TOKEN_CALC_WEBHOOK_URL
  # webhook_secret: secret        # signs them; better as TOKEN_CALC_WEBHOOK_SECRET
  # allow_private_webhooks: false # webhooks to this machine and its network, and without TLS
  # apprise: ["slack://..."]      # other services: pip install 'token-calculator-suite[alerts]'
  # email: [me@example.com]       # TOKEN_CALC_EMAIL_ALERTS
  # smtp:
  #   host: localhost             # TOKEN_CALC_SMTP_HOST
  #   port: 587                   # TOKEN_CALC_SMTP_PORT
  #   user: me                    # TOKEN_CALC_SMTP_USER
  #   password: secret            # better as TOKEN_CALC_SMTP_PASSWORD
  #   sender: me@example.com      # TOKEN_CALC_SMTP_SENDER

# hash_key: secret                # better as TOKEN_CALC_HASH_KEY
"""


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path(settings.FILE_NAME),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a settings file with every setting in it, commented.

    Example: token-calc init
    """
    if path.exists() and not force:
        common.fail(f"{path} is there already: edit it, or overwrite it with --force.", common.WRONG_USE)
    try:
        with open(path, "w", encoding="utf-8", opener=_private) as file:  # only this takes an opener
            file.write(TEMPLATE)
    except OSError as error:
        common.fail(f"{path} cannot be written: {error.strerror}.", common.WRONG_USE)
    console = text.console()
    console.print(f"Wrote {path}. It is read where programs and commands run in its folder.")
    if path.name != settings.FILE_NAME:
        common.print_hint(f"export TOKEN_CALC_CONFIG={path.absolute()}", "has it read everywhere")


def _private(path: str, flags: int) -> int:
    """Open a file that nobody else may read: passwords will be written into it."""
    return os.open(path, flags, 0o600)
