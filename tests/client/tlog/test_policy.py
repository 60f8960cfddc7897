"""A policy says who is believed, in the form of C2SP tlog-policy, and nothing that cannot be met or counts twice."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.client.tlog.logs import log_signer, witness
from tests.client.tlog.test_note import NEUMANN_KEY
from tidegate.errors import LogPolicyInvalid
from tidegate.tlog.policy import MAX_POLICY_BYTES, LogPolicy

KEYS = [witness(number).key for number in range(1, 7)]
TWO_LEVELS = f"""\
# the example of the specification
log {log_signer().key}  https://log.example/

witness X1 {KEYS[0]}
 witness\tX2 {KEYS[1]}
witness X3 {KEYS[2]} https://x3.example
group X-witnesses 2 X1 X2 X3
witness Y1 {KEYS[3]}
witness Y2 {KEYS[4]}
witness Y3 {KEYS[5]}
group Y-witnesses any Y1 Y2 Y3
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def test_the_two_levels_of_the_specification_are_met_by_exactly_those_they_name() -> None:
    policy = LogPolicy.parse(TWO_LEVELS.encode())
    assert policy.logs[0].key == log_signer().key
    assert (policy.logs[0].url, policy.witnesses["X3"].url) == ("https://log.example/", "https://x3.example")
    assert set(policy.keys) == {log_signer().key, *KEYS}
    for count in range(7):
        for signed in combinations(KEYS, count):
            enough = len(set(signed) & set(KEYS[:3])) >= 2 and bool(set(signed) & set(KEYS[3:]))
            assert policy.is_met_by(signed) is enough


def test_a_quorum_may_be_one_witness_or_none() -> None:
    one = LogPolicy.parse(f"witness w {KEYS[0]}\nquorum w\n".encode())
    assert (one.is_met_by([KEYS[0]]), one.is_met_by([KEYS[1]])) == (True, False)
    assert LogPolicy.parse(b"quorum none\n").is_met_by([])
    assert [LogPolicy.need_of(log_signer().key, need, KEYS[:2]).is_met_by(KEYS[:1]) for need in (0, 1, 2)] == [
        True,
        True,
        False,
    ]


def test_names_are_opaque_octets() -> None:
    first, second = (str(key).encode() for key in KEYS[:2])
    policy = LogPolicy.parse(b"witness \xff %s\nwitness \xfe %s\nquorum \xff\n" % (first, second))
    assert (policy.is_met_by([KEYS[0]]), policy.is_met_by([KEYS[1]])) == (True, False)


W1, W2 = f"witness a {KEYS[0]}\n", f"witness b {KEYS[1]}\n"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "the policy"),
        (W1, "line 1"),
        ("quorum none", "the policy"),
        ("quorum none\r\n", "line 1"),
        ("quorum none\nquorum none\n", "line 2"),
        ("quorum a\n" + W1, "line 1"),
        ("quorum\n", "line 1"),
        ("quorum none extra\n", "line 1"),
        ("Quorum none\n", "line 1"),
        (W1 + W1.replace(" a ", " b ") + "quorum a\n", "line 2"),  # one key under two names
        (W1 + W2.replace(" b ", " a ") + "quorum a\n", "line 2"),
        (W1.replace(" a ", " none ") + "quorum none\n", "line 1"),
        (W1 + "group g any a none\nquorum g\n", "line 2"),
        (W1 + "group g 0 a\nquorum g\n", "line 2"),
        (W1 + "group g 2 a\nquorum g\n", "line 2"),
        (W1 + "group g 01 a\nquorum g\n", "line 2"),
        (W1 + "group g -1 a\nquorum g\n", "line 2"),
        (W1 + "group g some a\nquorum g\n", "line 2"),
        (W1 + "group g all\nquorum g\n", "line 2"),
        (W1 + "group g any a a\nquorum g\n", "line 2"),
        (W1 + W2 + "group g any a b\ngroup h any a\nquorum g\n", "line 4"),
        (W1 + "group g any g\nquorum g\n", "line 2"),
        (W1 + "group a any a\nquorum a\n", "line 2"),
        (f"witness a {NEUMANN_KEY}\nquorum a\n", "line 1"),  # a log's kind of key
        (f"log {KEYS[0]}\nquorum none\n", "line 1"),  # a witness's kind
        (f"log {log_signer().key}\nlog {log_signer('other').key}\nquorum none\n", "line 2"),
        ("log nonsense\nquorum none\n", "line 1"),
        ("".join(f"witness {n} {witness(n).key}\n" for n in range(1, 66)) + "quorum none\n", "line 65"),
        ("#" * MAX_POLICY_BYTES + "\nquorum none\n", "the policy"),
    ],
)
def test_a_policy_that_says_nothing_or_too_much_is_refused_with_the_line(text: str, where: str) -> None:
    with pytest.raises(LogPolicyInvalid) as caught:
        LogPolicy.parse(text.encode())
    assert caught.value.reasons[0].code == "log-policy-invalid"
    assert caught.value.message.startswith(f"{where}: ")


def test_nobody_can_ask_for_more_witnesses_than_there_are() -> None:
    for need, keys in ((2, KEYS[:1]), (-1, KEYS), (1, [])):
        with pytest.raises(LogPolicyInvalid):
            LogPolicy.need_of(log_signer().key, need, keys)
    with pytest.raises(LogPolicyInvalid):
        LogPolicy.need_of(log_signer().key, 1, [KEYS[0], KEYS[0]])
