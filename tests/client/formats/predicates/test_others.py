"""Predicates of others' forms: scans, tests, bills of materials."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from tests.documents import json_example
from tidegate.errors import StatementInvalid
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.sbom import SbomPredicate
from tidegate.formats.predicates.test_result import TestResultPredicate
from tidegate.formats.predicates.vulnerabilities import (
    MAX_FINDINGS_IN_VIEW,
    Severity,
    VulnerabilitiesPredicate,
    read_severity,
)

SCAN, TESTS, BOM = (json_example("evidence-of-others", number) for number in range(3))


def test_a_scan_is_counted_by_the_worst_that_any_method_says() -> None:
    view = VulnerabilitiesPredicate.parse(SCAN).view()
    assert view["counts"] == {"none": 0, "low": 0, "medium": 0, "high": 1, "critical": 0, "unknown": 1}
    assert view["findings"] == [
        {"id": "CVE-2026-0002", "severity": "unknown"},
        {"id": "CVE-2026-0001", "severity": "high"},
    ]
    assert (view["scanFinishedAt"], view["databaseUpdatedAt"]) == ("2026-03-01T09:05:00Z", "2026-03-01T06:00:00Z")


def test_a_scan_goes_both_ways_as_far_as_it_is_read() -> None:
    parsed = VulnerabilitiesPredicate.parse(SCAN)
    assert VulnerabilitiesPredicate.parse(parsed.as_json()) == parsed


def test_a_scan_too_long_to_list_is_counted_only() -> None:
    scan = copy.deepcopy(SCAN)
    low = [{"id": f"CVE-{n}", "severity": [{"method": "nvd", "score": "low"}]} for n in range(MAX_FINDINGS_IN_VIEW)]
    scan["scanner"]["result"] = [*low, *SCAN["scanner"]["result"]]
    view = VulnerabilitiesPredicate.parse(scan).view()
    assert "findings" not in view
    assert view["total"] == MAX_FINDINGS_IN_VIEW + 2
    assert isinstance(view["counts"], dict)
    assert (view["counts"]["high"], view["counts"]["low"]) == (1, MAX_FINDINGS_IN_VIEW)


@pytest.mark.parametrize(
    ("method", "score", "severity"),
    [
        ("ghsa", "Moderate", Severity.MEDIUM),
        ("redhat", "important", Severity.HIGH),
        ("cvss_v3", "9.0", Severity.CRITICAL),
        ("cvss", "8.9", Severity.HIGH),
        ("nvd", "6.9", Severity.MEDIUM),
        ("nvd", "0.1", Severity.LOW),
        ("nvd", "0", Severity.NONE),
        ("nvd", "10.1", Severity.UNKNOWN),
        ("nvd", "nan", Severity.UNKNOWN),
        ("nvd", "-0.1", Severity.UNKNOWN),
        ("epss", "0.97", Severity.UNKNOWN),
        ("vendor", "will not fix", Severity.UNKNOWN),
    ],
)
def test_severities_are_words_or_cvss_scores(method: str, score: str, severity: Severity) -> None:
    assert read_severity(method, score) is severity


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("scanner"),
        lambda d: d["scanner"].pop("result"),
        lambda d: d["scanner"].pop("uri"),
        lambda d: d["scanner"].update(result={}),
        lambda d: d["scanner"]["result"].append("CVE-1"),
        lambda d: d["scanner"]["result"][0].pop("id"),
        lambda d: d["scanner"]["result"][0].update(severity="high"),
        lambda d: d["metadata"].pop("scanFinishedOn"),
        lambda d: d["metadata"].update(scanFinishedOn="2026-03-01T09:05:00"),
        # in UTC the calendar has no such day, and a view is written in UTC
        lambda d: d["metadata"].update(scanFinishedOn="0001-01-01T00:00:00+01:00"),
        lambda d: d["metadata"].update(scanStartedOn="9999-12-31T23:59:59-01:00"),
    ],
    ids=count(),
)
def test_a_scan_of_another_form_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    scan: dict[str, Any] = copy.deepcopy(SCAN)
    change(scan)
    with pytest.raises(StatementInvalid) as refused:
        VulnerabilitiesPredicate.parse(scan)
    assert refused.value.reasons[0].code == "vulnerabilities-malformed"


def test_test_results_are_counted() -> None:
    view = TestResultPredicate.parse(TESTS).view()
    assert (view["result"], view["passed"], view["warned"], view["failed"]) == ("FAILED", 2, 1, 1)
    assert view["failedTests"] == ["test_escalation"]
    assert TestResultPredicate.parse(TESTS).as_json() == TESTS


@pytest.mark.parametrize(
    "change", [{"result": "passed"}, {"result": "PASSED"}, {"failedTests": [1]}, {"url": 5}], ids=str
)
def test_a_test_result_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatementInvalid) as refused:
        TestResultPredicate.parse(TESTS | change)
    assert refused.value.reasons[0].code == "test-result-malformed"


def test_bills_of_materials_are_counted() -> None:
    spdx2: JsonObject = {"spdxVersion": "SPDX-2.3", "packages": [{"name": "a"}, {"name": "b"}]}
    spdx3: JsonObject = {
        "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
        "@graph": [{"type": "CreationInfo", "specVersion": "3.0.1"}, {"type": "software_Package", "name": "a"}],
    }
    assert SbomPredicate.parse_cyclonedx(BOM) == SbomPredicate("cyclonedx", "1.6", 1)
    assert SbomPredicate.parse_spdx(spdx2) == SbomPredicate("spdx", "2.3", 2)
    assert SbomPredicate.parse_spdx(spdx3) == SbomPredicate("spdx", "3.0.1", 1)


@pytest.mark.parametrize("change", [{"bomFormat": "SPDX"}, {"specVersion": None}, {"components": {}}], ids=str)
def test_a_bill_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatementInvalid) as refused:
        SbomPredicate.parse_cyclonedx(BOM | change)
    assert refused.value.reasons[0].code == "sbom-malformed"
    with pytest.raises(StatementInvalid) as refused:
        SbomPredicate.parse_spdx({"@graph": []} | BOM)
    assert refused.value.reasons[0].code == "sbom-malformed"
