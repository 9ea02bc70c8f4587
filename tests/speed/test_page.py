"""The page of the docs that shows what the benchmarks measured."""

from __future__ import annotations

import json

from benchmarks.page import PAGE, page

RESULTS = PAGE.parent / "benchmarks" / "results.json"


def test_the_docs_show_the_results_that_lie_beside_them() -> None:
    result = json.loads(RESULTS.read_text("utf-8"))
    assert PAGE.read_text("utf-8") == page(result)
