"""The numbers as OpenMetrics, read by prometheus-client's own parser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gfcgi.process.status.counts import CLASSES
from gfcgi.process.status.openmetrics import as_openmetrics
from gfcgi.process.status.snapshot import Snapshot

parser = pytest.importorskip("prometheus_client.openmetrics.parser")

Make = Callable[..., Snapshot]


def samples(status: Snapshot) -> dict[tuple[str, ...], float]:
    families: list[Any] = list(parser.text_string_to_metric_families(as_openmetrics(status)))
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_of_each_class_are_the_sums_over_processes(
    snapshot: Make, numbers: Callable[..., dict[str, float]]
) -> None:
    found = samples(
        snapshot(
            processes={7: numbers({"2xx": 10, "none": 1}), 8: numbers({"2xx": 20, "5xx": 3})},
            ended={"requests_2xx_total": 5.0, "took_0.005_total": 5.0},
        )
    )
    by_status = {kind: found["gfcgi_requests_total", kind] for kind in CLASSES}
    assert by_status == {"none": 1, "1xx": 0, "2xx": 35, "3xx": 0, "4xx": 0, "5xx": 3}
    assert found["gfcgi_request_seconds_count",] == 39
    assert found["gfcgi_request_seconds_sum",] == 4.0
    assert found["gfcgi_request_seconds_bucket", "0.005"] == 39
    assert found["gfcgi_request_seconds_bucket", "+Inf"] == 39
    assert found["gfcgi_sent_bytes_total",] == 2468
    assert found["gfcgi_requests_in_flight",] == 6
    assert found["gfcgi_processes",] == 2
    assert found["gfcgi_process_requests", "8"] == 23


def test_what_clients_choose_is_not_in_it(hostile: Snapshot) -> None:
    assert "alert" not in as_openmetrics(hostile)


def test_version_is_told(snapshot: Make) -> None:
    assert samples(snapshot())["gfcgi_info", "compiled", "1.2"] == 1
