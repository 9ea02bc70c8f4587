"""The page "Will my application work?": every line of its tables is a test."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs/howto/will-my-application-work.md"

IN_APPLICATIONS = "applications/test_will_it_work.py"
IN_PROCESS = "process/test_cooperative.py"
ADAPTERS = "unit/cooperative/test_adapters.py"
BLOCKING = (ADAPTERS, "test_libraries_without_an_adapter_are_named_with_the_alternative")

LINES = {
    "SQLite": (IN_APPLICATIONS, "test_django_writes_to_sqlite_in_many_requests_at_once"),
    "PostgreSQL: psycopg 3": (IN_APPLICATIONS, "test_queries_of_postgresql_wait_together"),
    "PostgreSQL: psycopg2": (IN_APPLICATIONS, "test_queries_of_postgresql_wait_together"),
    "MySQL": BLOCKING,
    "SQL Server": (ADAPTERS, "test_the_wait_callback_of_pymssql_is_set_and_waits"),
    "cx_Oracle": BLOCKING,
    "requests": (IN_APPLICATIONS, "test_requests_imported_before_patching_speaks_https"),
    "Flask's and Django's": (
        IN_APPLICATIONS,
        "test_async_views_of_django_run_together_with_its_mapper_and_httpx",
    ),
    "uvloop": BLOCKING,
    "gRPC": (IN_APPLICATIONS, "test_calls_of_grpc_wait_together"),
    "Locks of files": (
        IN_PROCESS,
        "test_a_file_lock_held_by_a_request_that_sleeps_is_waited_for",
    ),
    "`subprocess`": (IN_PROCESS, "test_a_shell_command_lets_the_others_go_on"),
    "`os.fork`": (
        IN_PROCESS,
        "test_a_forked_child_takes_no_part_in_serving_and_ends_with_its_request",
    ),
    "multiprocessing": (
        IN_PROCESS,
        "test_multiprocessing_works_in_requests_and_lets_the_others_go_on",
    ),
    "Logging": (IN_APPLICATIONS, "test_loguru_logs_through_a_queue"),
    "Threads": (
        IN_PROCESS,
        "test_what_runs_before_patching_does_not_keep_the_server_from_starting",
    ),
    "ThreadPoolExecutor": (
        IN_PROCESS,
        "test_an_executor_made_before_patching_gives_its_results",
    ),
    "numpy": (IN_PROCESS, "test_computing_holds_up_the_others"),
    "Signals": (IN_PROCESS, "test_a_signal_handler_of_the_script_is_named"),
}
"""What a line begins with, the file of its test, and the test."""

IN_THREADS = "process/test_threads.py"

THREADS = {
    "Waits in C": [
        (IN_THREADS, "test_eight_requests_wait_in_c_at_once"),
        BLOCKING,
    ],
    "Computes": [
        (IN_THREADS, "test_a_small_request_is_answered_beside_three_seconds_of_computing"),
        (IN_PROCESS, "test_computing_holds_up_the_others"),
    ],
    "Patching does not suit it": [
        (IN_THREADS, "test_what_patching_does_not_suit_runs_in_threads"),
        (IN_PROCESS, "test_only_what_came_before_patching_is_named_as_late"),
    ],
    "Waits in sockets": [
        (IN_THREADS, "test_requests_wait_in_line_for_a_thread_and_who_leaves_it_is_not_served"),
        ("servers/test_streams.py", "test_200_requests_that_sleep_are_served_at_once"),
    ],
    "Keeps data in `threading.local`": [
        (
            IN_THREADS,
            "test_context_variables_are_a_requests_own_and_thread_local_data_the_threads",
        ),
        (
            "unit/server/test_greenlets.py",
            "test_one_request_after_another_shares_a_greenlet_and_nothing_else",
        ),
    ],
    "Keeps data in context variables": [
        (
            IN_THREADS,
            "test_context_variables_are_a_requests_own_and_thread_local_data_the_threads",
        ),
        (
            "unit/server/test_greenlets.py",
            "test_one_request_after_another_shares_a_greenlet_and_nothing_else",
        ),
    ],
    "Is not safe under threads": [
        (IN_THREADS, "test_one_thread_runs_one_request_at_a_time"),
    ],
    "Patches by itself": [
        (IN_THREADS, "test_nothing_is_patched_though_the_script_imports_gfcgi_patched"),
        (IN_THREADS, "test_a_script_that_patches_and_asks_for_threads_is_refused_in_one_line"),
    ],
    "Does not return": [
        (IN_THREADS, "test_a_stop_ends_the_process_though_a_thread_does_not_return"),
    ],
}
"""The same for "When to take --threads": a test for each way."""


def tables() -> list[list[str]]:
    """The rows of each table, without its head."""
    found: list[list[str]] = []
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("|---"):
            found.append([])
        elif line.startswith("| ") and found:
            found[-1].append(line.removeprefix("| "))
    # The head of each table but the first one ended up in the one before.
    return [rows[:-1] for rows in found[:-1]] + found[-1:]


def test_every_line_of_the_tables_has_its_test() -> None:
    for rows, begins in zip(tables(), (LINES, THREADS), strict=True):
        assert len(rows) == len(begins)
        for row, begin in zip(rows, begins, strict=True):
            assert row.startswith(begin)


def test_the_tests_are_there() -> None:
    for file, name in [*LINES.values(), *(test for tests in THREADS.values() for test in tests)]:
        tree = ast.parse((TESTS / file).read_bytes())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
