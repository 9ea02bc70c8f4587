"""The keywords of ``gfcgi.run``, for type checkers.

One key for each field of ``Options``, and the types that the field's parser takes. Nothing imports
this module at run time. ``tests/unit/test_option_keywords.py`` holds it against ``Options``.
"""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = ["OptionKeywords"]


class OptionKeywords(TypedDict, total=False):
    """What ``gfcgi.run`` takes besides the application; what is not given has its default."""

    bind: str | list[str] | tuple[str, ...]
    backlog: int
    socket_mode: int | str | None
    socket_owner: str | int | None
    socket_group: str | int | None
    allow_from: str | list[str] | tuple[str, ...]
    http: str | int | bool | None
    http_host: str | list[str] | tuple[str, ...]

    debug: bool
    script_name: str | None
    trusted_proxies: str | list[str] | tuple[str, ...]
    rules: str | list[str] | tuple[str, ...]
    stderr: Literal["auto", "at-once", "with-stdout"]
    patch: bool
    threads: int
    processes: int
    no_cooperative: str | list[str] | tuple[str, ...]
    log_level: str

    max_connections: int
    max_concurrent_requests: int
    max_concurrent_requests_per_connection: int
    max_params_bytes: int
    max_params_pairs: int
    stdin_buffer_bytes: int
    multiplexed_buffer_bytes: int
    max_spool_bytes: int
    max_drain_bytes: int

    params_timeout_seconds: float
    idle_timeout_seconds: float
    stdin_timeout_seconds: float
    stdout_timeout_seconds: float
    queue_timeout_seconds: float
    request_timeout_seconds: float
    graceful_timeout_seconds: float
    block_log_seconds: float
    block_kill_seconds: float

    reload: bool
    reload_file: str | list[str] | tuple[str, ...]
    max_requests: int
    max_memory_bytes: int

    status_path: str | None
    ping_path: str | None
    status_allow: str | list[str] | tuple[str, ...]
    access_log: str | None
    access_log_format: str
    slow_log_seconds: float
