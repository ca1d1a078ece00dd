"""A thousand damaged and hostile .net files, each drawn by hypothesis, are read or clearly refused."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.diagnostics.fuzz.check import Workplace

THOUSAND = settings(
    max_examples=1000, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
)


def test_any_damaged_file_is_read_or_clearly_refused():
    with Workplace() as place:

        @THOUSAND
        @given(st.data())
        def one(data):
            path = place.damage(0, ".net", lambda low, high: data.draw(st.integers(low, high)))
            outcome = place.outcome(path)
            assert outcome.clear, outcome

        one()
