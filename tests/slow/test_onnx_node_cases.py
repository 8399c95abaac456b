"""All of the onnx package's own tests of single operators, with everything secret that can be."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest

from tests.unit.protocols.smpc.program.cases import cases, verdict

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OUT_OF_RANGE = frozenset((
    "test_reduce_log_sum_empty_set_expanded",  # minus infinity
    "test_reduce_log_sum_exp_default_axes_keepdims_example_expanded",  # e**60
    "test_reduce_log_sum_exp_do_not_keepdims_example_expanded",
    "test_reduce_log_sum_exp_empty_set_expanded",
    "test_reduce_log_sum_exp_keepdims_example_expanded",
    "test_reduce_log_sum_exp_negative_axes_keepdims_example_expanded",
    "test_reduce_prod_default_axes_keepdims_example",  # 479001600
))  # fmt: skip
"""What comes up in these is larger than the number format goes."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("secret", [lambda place: True, lambda place: place == 0, lambda place: place > 0])
def test_every_case_passes_or_is_refused(
    secret: Callable[[int], bool], record_property: Callable[[str, object], None]
) -> None:
    """No case gives a wrong answer within the format's range, and none is given up half-way, whether all inputs are
    secret, the first alone, or all but the first. Counts are recorded."""
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    failed: defaultdict[str, str] = defaultdict(str)
    for case in cases():
        found = verdict(case, secret)
        outcomes[found.outcome] += 1
        if found.outcome == "refused":
            named = re.search(r"because of (.*): replace", found.reason)
            reasons[named.group(1) if named else found.reason[:80]] += 1
        elif found.outcome == "failed":
            failed[case.name] = found.reason
    for name, count in [*outcomes.items(), *reasons.most_common(40)]:
        record_property(name, count)
    print(dict(outcomes), *reasons.most_common(), sep="\n")

    assert {} == {name: reason for name, reason in failed.items() if name not in OUT_OF_RANGE}
    assert outcomes["passed"] >= 1100
