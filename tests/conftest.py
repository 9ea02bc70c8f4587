"""What holds for every test."""

from __future__ import annotations

import signal

# nohup and background jobs of a shell ignore these, which every process inherits that a test
# starts; gfcgi respects it. Whether the tests pass is not to depend on how they were started.
for _signum in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(_signum) is signal.SIG_IGN:
        signal.signal(
            _signum,
            signal.default_int_handler if _signum == signal.SIGINT else signal.SIG_DFL,
        )
