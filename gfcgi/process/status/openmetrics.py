"""The numbers as OpenMetrics, written by prometheus-client (the extra ``gfcgi[metrics]``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gfcgi.process.status.counts import BUCKETS, CLASSES
from gfcgi.process.status.snapshot import Snapshot, requests_of

__all__ = ["CONTENT_TYPE", "as_openmetrics"]

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def as_openmetrics(status: Snapshot) -> str:
    """The text. Nothing in it comes from a client. Raises: ImportError."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.openmetrics.exposition import generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector(status))
    text: bytes = generate_latest(registry)
    return text.decode()


class _Collector:
    """What prometheus-client asks for metrics."""

    def __init__(self, status: Snapshot) -> None:
        self._status = status

    def collect(self) -> Iterator[Any]:
        from prometheus_client import core

        status, sums = self._status, self._status.all
        requests = core.CounterMetricFamily(
            "gfcgi_requests",
            "Requests that have ended, by the class of their status; none: no answer was sent",
            labels=["status"],
        )
        for kind in CLASSES:
            requests.add_metric([kind], sums.get(f"requests_{kind}_total", 0.0))
        yield requests
        counts, so_far = [], 0.0
        for bound in (*BUCKETS, "more"):
            so_far += sums.get(f"took_{bound}_total", 0.0)
            counts.append(("+Inf" if bound == "more" else str(float(bound)), so_far))
        yield core.HistogramMetricFamily(
            "gfcgi_request_seconds",
            "From a request's params until its end",
            buckets=counts,
            sum_value=sums["seconds_total"],
            unit="seconds",
        )
        for name, text, number, unit in (
            ("gfcgi_sent_bytes", "Bytes of the bodies", "sent_bytes_total", "bytes"),
            ("gfcgi_own_pages", "Answers of the status page and the ping", "own_total", ""),
        ):
            yield core.CounterMetricFamily(name, text, sums[number], unit=unit)
        for name, text, value, unit in (
            ("gfcgi_requests_in_flight", "Requests that run or wait", sums["running"], ""),
            ("gfcgi_requests_waiting", "Those of them that wait in line", sums["waiting"], ""),
            ("gfcgi_connections", "Transport connections open", sums["connections"], ""),
            ("gfcgi_memory_bytes", "Resident memory", sums["memory_bytes"], "bytes"),
            ("gfcgi_processes", "Processes whose numbers these are", len(status.processes), ""),
        ):
            yield core.GaugeMetricFamily(name, text, value, unit=unit)
        for name, text, number in (
            ("gfcgi_process_requests", "Requests of each process that runs", ""),
            ("gfcgi_process_start_time_seconds", "When it began, since the epoch", "started"),
        ):
            each = core.GaugeMetricFamily(name, text, labels=["pid"])
            for pid, numbers in sorted(status.processes.items()):
                each.add_metric([str(pid)], numbers[number] if number else requests_of(numbers))
            yield each
        yield core.InfoMetricFamily(
            "gfcgi", "The version", {"version": status.version, "build": status.build}
        )
