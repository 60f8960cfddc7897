"""Results of test tools: the examples of the guide, and files that are hostile or say too little."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.documents import guide_example
from tidegate.digest import Digest
from tidegate.errors import InvalidInput
from tidegate.evaluation.readers import BUILT_IN, choose_reader, junit, promptfoo, table
from tidegate.evaluation.results import CaseRun, Measured, evaluate
from tidegate.formats.jcs import parse_object

PAGE = "attest-an-evaluation"
JUNIT, TABLE, PROMPTFOO = (guide_example(PAGE, language) for language in ("xml", "csv", "json"))
ABOUT = Measured("support", Digest.of(b"cases"), Digest.of(b"harness"))


def code_of(error: pytest.ExceptionInfo[InvalidInput]) -> str:
    return error.value.reasons[0].code


@pytest.mark.parametrize(("raw", "name"), [(JUNIT, "junit"), (TABLE, "table"), (PROMPTFOO, "promptfoo")])
def test_each_file_is_recognised_by_its_reader_alone(raw: bytes, name: str) -> None:
    assert [known for known in BUILT_IN if choose_reader(b"", known).recognises(raw)] == [name]
    assert choose_reader(raw) is choose_reader(raw, name)


@pytest.mark.parametrize("raw", [b"", b"{}", b"<html/>", b"a,b\n1,2\n", b"\xff\xfe"])
def test_what_nobody_recognises_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        choose_reader(raw)
    assert code_of(refused) == "results-unknown"


@pytest.mark.parametrize("name", ["xunit", "os; import x", "tests.no.such.module", "json.decoder", "../x"])
def test_a_reader_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        choose_reader(JUNIT, name)
    assert code_of(refused) == "reader-unknown"


def test_a_reader_of_somebody_elses_is_a_module_with_three_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_evals").mkdir()
    (tmp_path / "my_evals" / "reader.py").write_bytes(guide_example(PAGE, "python"))
    monkeypatch.syspath_prepend(tmp_path)
    reader = choose_reader(b"MYEVALS\na ok\nb no\n", "my_evals.reader")
    assert list(reader.read_runs(b"MYEVALS\na ok\nb no\n")) == [CaseRun("a", passed=True), CaseRun("b", passed=False)]
    assert reader.recognises(b"MYEVALS\n")
    sys.modules.pop("my_evals.reader")
    sys.modules.pop("my_evals")


class TestJUnit:
    def test_cases_are_read_with_what_did_not_pass_and_how_long_it_took(self) -> None:
        late, partial = junit.read_runs(JUNIT)
        assert late == CaseRun("refunds.late", passed=True, measured={"duration": (1.5, "s")})
        assert (partial.case, partial.passed) == ("refunds.partial", False)
        begun, ended = junit.read_times(JUNIT)
        assert begun == datetime(2026, 3, 1, 9, tzinfo=UTC)
        assert ended == datetime(2026, 3, 1, 9, 0, 3, 500_000, tzinfo=UTC)

    @pytest.mark.parametrize("mark", sorted(junit.NOT_PASSED))
    def test_a_case_that_was_skipped_or_tried_again_did_not_pass(self, mark: str) -> None:
        (run,) = junit.read_runs(f"<testsuite><testcase name='a'><{mark}/></testcase></testsuite>".encode())
        assert run == CaseRun("a", passed=False)

    @pytest.mark.parametrize(
        "raw",
        [
            b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><testsuite><testcase name='&b;'/></testsuite>",
            b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><testsuite/>",
            b"<testsuite><testcase name='&undeclared;'/></testsuite>",
            b"<testsuite><testcase/></testsuite>",
            b"<testsuite><testcase name='a'><testcase name='b'/></testcase></testsuite>",
            b"<testsuite><testcase name='a'>",
            b"<report><testsuite/></report>",
            b"<testsuite>" + b"<x>" * 200 + b"</x>" * 200 + b"</testsuite>",
            b"<testsuite><testcase name='\xff'/></testsuite>",
            b"<testsuites><testsuite><error/><testcase name='a'/></testsuite></testsuites>",  # could not be collected
        ],
        ids=count(),
    )
    def test_hostile_and_broken_files_are_refused(self, raw: bytes) -> None:
        with pytest.raises(InvalidInput) as refused:
            junit.read_runs(raw)
        assert code_of(refused) == "results-invalid"

    @pytest.mark.parametrize("timestamp", ["9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+05:00", "yesterday"])
    def test_times_beyond_the_calendar_are_no_times(self, timestamp: str) -> None:
        raw = f"<testsuite timestamp='{timestamp}' time='3'><testcase name='a'/></testsuite>".encode()
        assert junit.read_times(raw)[1] is None
        assert evaluate(junit.read_runs(raw), ABOUT, junit.read_times(raw)).as_json()["outcomes"] == {"a": 1}


class TestTable:
    def test_rows_are_runs_and_columns_with_units_are_metrics(self) -> None:
        runs = table.read_runs(TABLE)
        assert [run.passed for run in runs] == [True, True, False, True]
        assert runs[0].measured == {"cost": (0.012, "USD"), "latency": (2.5, "s")}
        assert runs[2].measured == {"cost": (0.014, "USD")}

    @pytest.mark.parametrize(
        "raw",
        [
            b"case,passed\na,maybe\n",
            b"case,passed\n,true\n",
            b"case,passed\na\n",
            b"case,passed\na,true,1\n",
            b"case,passed,passed\na,true,false\n",
            b"case,passed,cost [USD]\na,true,cheap\n",
            b"case,passed,cost [USD]\na,true,nan\n",
            b'case,passed\n"a,true\n',
            b"case,passed\n\xff,true\n",
            b"name,ok\na,true\n",
        ],
        ids=count(),
    )
    def test_broken_tables_are_refused(self, raw: bytes) -> None:
        with pytest.raises(InvalidInput) as refused:
            table.read_runs(raw)
        assert code_of(refused) == "results-invalid"


class TestPromptfoo:
    def changed(self, change: Callable[[dict[str, Any]], object]) -> bytes:
        document: dict[str, Any] = copy.deepcopy(parse_object(PROMPTFOO, limit=1 << 16, what="the example"))
        change(document["results"])
        return json.dumps(document).encode()

    def test_results_are_read_by_description_with_what_they_cost(self) -> None:
        (run,) = promptfoo.read_runs(PROMPTFOO)
        measured = {"latency": (2.5, "s"), "cost": (0.012, "USD"), "tokens": (840.0, "tokens")}
        assert run == CaseRun("refund-late", passed=True, measured=measured)
        assert promptfoo.read_times(PROMPTFOO) == (datetime(2026, 3, 1, 9, tzinfo=UTC), None)

    def test_a_case_without_description_is_called_by_its_variables(self) -> None:
        (run,) = promptfoo.read_runs(self.changed(lambda r: r["results"][0].pop("testCase")))
        (other,) = promptfoo.read_runs(
            self.changed(lambda r: r["results"][0].update(testCase={}, vars={"order": "1002"}))
        )
        assert run.case.startswith("vars-")
        assert run.case != other.case

    def test_what_came_from_the_cache_was_not_measured(self) -> None:
        (run,) = promptfoo.read_runs(self.changed(lambda r: r["results"][0]["response"].update(cached=True)))
        assert run.measured == {}

    @pytest.mark.parametrize(
        "change",
        [
            lambda r: r.pop("results"),
            lambda r: r.update(results=[{}]),
            lambda r: r["results"][0].update(success="yes"),
            lambda r: r["results"][0].update(testCase={}, vars={}),
            lambda r: r["results"].append(r["results"][0] | {"promptIdx": 1}),
            lambda r: r["results"].append(r["results"][0] | {"provider": {"id": "anthropic:other"}}),
        ],
        ids=count(),
    )
    def test_files_that_say_too_little_or_much_are_refused(self, change: Callable[[dict[str, Any]], object]) -> None:
        with pytest.raises(InvalidInput) as refused:
            promptfoo.read_runs(self.changed(change))
        assert code_of(refused) == "results-invalid"


def test_runs_add_up_to_an_evaluation() -> None:
    runs = table.read_runs(TABLE)
    found = evaluate(runs, Measured("support", ABOUT.dataset, ABOUT.harness, repeats=2))
    assert found.outcomes == {"refund-late": 2, "tone-angry": 1}
    assert found.metrics["cost"].value == pytest.approx((0.012 + 0.011 + 0.014 + 0.010) / 4)
    assert (found.metrics["latency"].n, found.metrics["latency"].unit) == (3, "s")


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([], "results-invalid"),
        ([CaseRun("a", passed=False), CaseRun("a", passed=True)], "results-repeats"),
        (
            [
                CaseRun("a", passed=True, measured={"cost": (1, "USD")}),
                CaseRun("b", passed=True, measured={"cost": (1, "EUR")}),
            ],
            "results-invalid",
        ),
        ([CaseRun("a", passed=True, measured={"cost per task": (1, "USD")})], "evaluation-malformed"),
        ([CaseRun("a\x1b", passed=True)], "evaluation-malformed"),
    ],
)
def test_runs_that_do_not_add_up_are_refused(runs: list[CaseRun], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        evaluate(runs, ABOUT)
    assert code_of(refused) == code
